"""Measures one network on the test split and, where training did so otherwise, on validation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from sweep.codec import pack_labels
from sweep.data import Part, TrainingData, fingerprint
from sweep.evaluation.networks import compute_logits
from sweep.evaluation.rows import column_names, row_texts
from sweep.records import CalibrationBin, Mistake, TestReading

__all__ = ["NUM_BINS", "measure", "measure_validation"]

NUM_BINS = 15
"""Bins of the calibration, as in Guo et al. (2017), `On Calibration of Modern Neural Networks`."""

_KEPT_MISTAKES = 40


def measure_validation(reading: TestReading, model: nn.Module, data: TrainingData) -> TestReading:
    """Add what a model predicts for the validation examples, measured as `measure` does.

    Training may have measured them in another precision, and what is compared is measured alike.
    """
    labels = data.validation.labels
    logits = compute_logits(model, data.validation.inputs, data).to(torch.float64)
    return replace(
        reading,
        validation_predictions=pack_labels(logits.argmax(1).numpy(), data.spec.num_classes),
        validation_loss=float(functional.cross_entropy(logits, torch.from_numpy(labels))),
    )


def measure(
    reading: TestReading,
    model: nn.Module,
    data: TrainingData,
    test: Part,
    *,
    with_losses: bool = False,
) -> TestReading:
    """Complete the record of an opening with what a model trained on `data` predicts.

    The rows of a table are given as they stand in its file: `data` encodes them. The loss of each
    example is recorded if `with_losses`.
    """
    encoded = data.encoded(test)
    logits = compute_logits(model, encoded.inputs, data).to(torch.float64)
    losses = functional.cross_entropy(logits, torch.from_numpy(test.labels), reduction="none")
    confidences, predicted = (part.numpy() for part in logits.softmax(1).max(1))
    num_classes = data.spec.num_classes
    cells = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(cells, (test.labels, predicted), 1)
    return replace(
        reading,
        num_images=len(test),
        fingerprint=fingerprint(encoded),
        confusion_matrix=tuple(tuple(map(int, row)) for row in cells),
        mistakes=_mistakes(test, predicted, confidences),
        image_shape=data.spec.input_shape if data.spec.kind == "image" else (),
        columns=() if data.spec.kind == "image" else column_names(test.inputs),
        labels=pack_labels(test.labels, num_classes),
        predictions=pack_labels(predicted, num_classes),
        calibration=_calibration(confidences, predicted == test.labels),
        loss=float(losses.mean()),
        losses=losses.to(torch.float32).numpy().astype("<f4").tobytes() if with_losses else b"",
    )


def _mistakes(
    test: Part, predicted: NDArray[np.int64], confidences: NDArray[np.float64]
) -> tuple[Mistake, ...]:
    """The most confident mistakes, the first of equals first."""
    wrong = np.flatnonzero(predicted != test.labels)
    wrong = wrong[np.argsort(-confidences[wrong], kind="stable")][:_KEPT_MISTAKES]
    is_image = test.is_encoded and test.inputs.dtype == np.uint8
    rows = [()] * len(wrong) if is_image else row_texts(test.inputs, wrong)
    return tuple(
        Mistake(
            index=int(index),
            true=int(test.labels[index]),
            predicted=int(predicted[index]),
            confidence=float(confidences[index]),
            image=test.inputs[index].tobytes() if is_image else b"",
            row=row,
        )
        for index, row in zip(wrong, rows, strict=True)
    )


def _calibration(
    confidences: NDArray[np.float64], right: NDArray[np.bool_]
) -> tuple[CalibrationBin, ...]:
    """Bins of equal width, each open below and closed above."""
    bins = np.clip(np.ceil(confidences * NUM_BINS).astype(np.int64) - 1, 0, NUM_BINS - 1)
    return tuple(
        CalibrationBin(
            num_images=int((bins == index).sum()),
            num_correct=int(right[bins == index].sum()),
            confidence_sum=float(confidences[bins == index].sum()),
        )
        for index in range(NUM_BINS)
    )
