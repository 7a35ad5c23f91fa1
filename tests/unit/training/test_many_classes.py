"""More classes than a byte or two can number: nothing wraps."""

from __future__ import annotations

import numpy as np
import pytest
from driving import logits_of, train
from helpers import flat_spec, make_config

from sweep.codec import unpack_labels
from sweep.data import Part, TrainingData
from sweep.evaluation.measuring import measure
from sweep.evaluation.networks import compute_logits
from sweep.families.mlp import FAMILY
from sweep.records import TestReading


def many_classes(num_classes: int) -> TrainingData:
    """Two far-apart clusters, of the last class and of the one that its low byte names."""
    random = np.random.default_rng(0)
    classes = np.array([num_classes - 1, (num_classes - 1) % 256])
    which = random.integers(2, size=120)
    inputs = (random.normal(size=(120, 4)) + 8 * which[:, None] - 4).astype(np.float32)
    part = Part(inputs, classes[which])
    rows = np.arange(120)
    return TrainingData(
        flat_spec(4, num_classes), part.take(rows[:80]), part.take(rows[80:]),
        np.zeros(4), np.ones(4), "",
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("num_classes", [300, 70_000])
@pytest.mark.parametrize("name", ["sequential", "stacked"])
def test_predictions_name_the_class_that_the_network_chose(name, num_classes):
    data = many_classes(num_classes)
    config = make_config(layer_size=16, epochs=4, learning_rate=0.03, batch_size=8)
    (outcome,) = train(data, config, name=name)
    predicted = unpack_labels(outcome.validation_predictions, num_classes)
    assert set(predicted.tolist()) == set(data.validation.labels.tolist())
    np.testing.assert_array_equal(predicted, logits_of(outcome, config, data).argmax(1))
    accuracy = outcome.best.values["validation_accuracy"]
    assert accuracy == np.mean(predicted == data.validation.labels) > 0.9


def test_a_reading_of_the_test_split_names_the_class_that_the_network_chose():
    data = many_classes(300)
    model = FAMILY.build(make_config().params, data.spec).eval()
    list(model.parameters())[-1].data[299] = 100.0  # the bias of a class that no byte can name
    reading = measure(TestReading(0, "now"), model, data, data.validation)
    predicted = compute_logits(model, data.validation.inputs, data).argmax(1).numpy()
    assert set(predicted.tolist()) == {299}
    np.testing.assert_array_equal(unpack_labels(reading.predictions, 300), predicted)
    np.testing.assert_array_equal(unpack_labels(reading.labels, 300), data.validation.labels)
    assert {(mistake.true, mistake.predicted) for mistake in reading.mistakes} == {(43, 299)}
