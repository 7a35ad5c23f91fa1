"""The test split: read once, for the chosen trial, and never without a record."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.numpy
import torch
from helpers import DIGITS, HERE, PARAMETERS, read_confirmation, space_mapping
from optuna.exceptions import StorageInternalError

import sweep
from sweep.codec import pack_labels, unpack_labels
from sweep.data import Part, fingerprint, load_training_data
from sweep.data.sealed import open_test_split
from sweep.errors import DataError, Interrupted, StoreError, StudyLockedError, SweepFailedError
from sweep.evaluation import networks, openings, read_test_split
from sweep.evaluation.measuring import NUM_BINS, measure
from sweep.fresh_seeds import train_confirmation
from sweep.records import DataSpec, StudyOpened, TestReading
from sweep.store import Store
from sweep.study import StudySession


def readings(storage: str):
    return Store(storage, to_write=False).read_study("small").test_readings


@pytest.mark.slow
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_reading_equals_an_independent_computation(storage, dropout):
    parameters = {**PARAMETERS, "num_layers": 2, "layer_size": 32, "dropout": dropout}
    sweep.run(space_mapping(parameters=parameters, budget={"trials": 2}), storage=storage, **HERE)
    reading = read_test_split(storage, "small")
    study = Store(storage, to_write=False).read_study("small")
    weights = safetensors.numpy.load(
        Store(storage, to_write=False).trials("small").read_weights(study.best.number)
    )
    layers = sorted({name.rsplit(".", 1)[0] for name in weights}, key=lambda n: n.split(".")[1])
    train = load_training_data(DIGITS).train
    test = open_test_split(DIGITS)
    values = (test.inputs.reshape(len(test), -1) - train.inputs.mean()) / train.inputs.std()
    for layer in layers:
        values = values @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"]
        if layer != layers[-1]:
            values = np.maximum(values, 0)
    predicted = values.argmax(1)

    matrix = np.zeros((10, 10), int)
    np.add.at(matrix, (test.labels, predicted), 1)
    assert reading.trial == study.best.number
    assert reading.confusion_matrix == tuple(map(tuple, matrix.tolist()))
    assert reading.num_correct == (predicted == test.labels).sum() > 0.5 * 360
    assert reading.num_images == 360
    assert reading.fingerprint == fingerprint(test)
    assert reading.image_shape == (1, 8, 8)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", reading.opened_at)

    wrong = np.flatnonzero(predicted != test.labels)
    assert {mistake.index for mistake in reading.mistakes} <= set(wrong.tolist())
    assert len(reading.mistakes) == min(40, len(wrong))
    confidences = [mistake.confidence for mistake in reading.mistakes]
    assert confidences == sorted(confidences, reverse=True)
    for mistake in reading.mistakes:
        assert mistake.image == test.inputs[mistake.index].tobytes()
        assert mistake.true == test.labels[mistake.index]
        assert mistake.predicted == predicted[mistake.index]
    assert readings(storage) == (reading,)

    logits = torch.tensor(values)
    assert reading.labels == pack_labels(test.labels, 10)
    assert reading.predictions == pack_labels(predicted, 10)
    assert reading.loss == pytest.approx(
        float(torch.nn.functional.cross_entropy(logits, torch.tensor(test.labels))), rel=1e-5
    )
    sure = logits.softmax(1).max(1).values.numpy()
    edges = np.linspace(0, 1, NUM_BINS + 1)
    right = predicted == test.labels
    for low, high, found in zip(edges[:-1], edges[1:], reading.calibration, strict=True):
        inside = (sure > low) & (sure <= high)
        assert found.num_images == inside.sum()
        assert found.num_correct == right[inside].sum()
        assert found.confidence_sum == pytest.approx(sure[inside].sum(), rel=1e-5)
    assert sum(found.num_images for found in reading.calibration) == 360


@pytest.mark.slow
def test_a_network_validated_in_another_precision_is_validated_again_in_the_tests_own(storage):
    space = space_mapping(budget={"trials": 2})
    sweep.run(space, storage=storage, precision="bfloat16", **HERE)
    reading = read_test_split(storage, "small")
    store = Store(storage, to_write=False)
    study = store.read_study("small")
    (model,), data = networks.load_networks(store, study, [study.best.number], None)
    logits = networks.compute_logits(model, data.validation.inputs, data)
    labels = torch.tensor(data.validation.labels)
    assert reading.validation_predictions == pack_labels(logits.argmax(1), 10)
    loss = float(torch.nn.functional.cross_entropy(logits, labels))
    assert reading.validation_loss == pytest.approx(loss, rel=1e-6)
    assert loss != study.best.outcome.best.values["validation_loss"], "two precisions"

    found = sweep.report("small", storage=storage, out=Path(store.path).parent / "report").data
    best = found["studies"]["small"]["best"]
    accuracy = float((logits.argmax(1) == labels).double().mean())
    (promise,) = best["promises"]
    assert promise["difference"] == pytest.approx(accuracy - best["test_accuracy"], abs=1e-12)
    assert promise["promised"] == (
        f"the validation accuracy of the network to use (in float32, like the test split, "
        f"{accuracy:.2%})"
    )
    assert best["validation_accuracy"] == study.value(study.best), "the study ranks by this one"


def test_a_network_validated_in_the_tests_precision_is_not_validated_again(storage):
    space = space_mapping(budget={"trials": 1})
    sweep.run(space, storage=storage, precision="float32", **HERE)
    reading = read_test_split(storage, "small")
    assert (reading.validation_predictions, reading.validation_loss) == (None, None)


def test_losses_of_test_examples_are_recorded_where_the_study_ranks_by_them(finished, storage):
    assert read_test_split(finished, "small").losses == b"", "it ranks by accuracy"
    space = space_mapping(name="by-loss", budget={"trials": 1}, objective="validation_loss")
    sweep.run(space, storage=storage, **HERE)
    reading = read_test_split(storage, "by-loss")
    losses = np.frombuffer(reading.losses, "<f4")
    assert len(losses) == reading.num_images == 360
    assert losses.mean(dtype=np.float64) == pytest.approx(reading.loss, rel=1e-6)
    labels, predicted = (unpack_labels(b, 10) for b in (reading.labels, reading.predictions))
    right = labels == predicted
    assert losses[right].max() < losses[~right].max()
    assert losses[~right].min() > np.log(2), "another class had the larger probability"
    assert Store(storage, to_write=False).read_study("by-loss").test_readings == (reading,)


def test_a_callers_defaults_for_tensors_change_nothing(finished, tmp_path):
    shutil.copytree(tmp_path, tmp_path / "copy", ignore=shutil.ignore_patterns("copy"))
    again = f"sqlite:///{tmp_path / 'copy' / 'studies.db'}"
    expected = read_test_split(finished, "small")
    try:
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        found = read_test_split(again, "small")
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    assert replace(found, opened_at="") == replace(expected, opened_at="")


def test_bins_have_their_upper_end(monkeypatch):
    """A third is the upper end of the fifth bin of 15, and 1 that of the last."""
    logits = torch.tensor([[0.0, 0, 0], [9, 9, -1000], [-1000, 9, 9], [1000, 0, 0], [1000, 0, 0]])
    monkeypatch.setattr("sweep.evaluation.measuring.compute_logits", lambda *_: logits)
    test = Part(np.zeros((5, 1, 2, 2), np.uint8), np.array([0, 1, 1, 0, 2]))
    reading = measure(
        TestReading(0, "now"),
        None,
        SimpleNamespace(
            spec=DataSpec("image", (1, 2, 2), ("a", "b", "c"), 5, 5), encoded=lambda part: part
        ),
        test,
    )
    filled = {
        index: (found.num_images, found.num_correct, found.confidence_sum)
        for index, found in enumerate(reading.calibration)
        if found.num_images
    }
    assert filled == {4: (1, 1, pytest.approx(1 / 3)), 7: (2, 1, 1.0), 14: (2, 1, 2.0)}
    assert len(reading.calibration) == NUM_BINS == 15


def test_answers_that_are_no_numbers_are_no_reading(storage, monkeypatch):
    space = space_mapping(budget={"trials": 1})
    sweep.run(space, storage=storage, precision="float32", **HERE)
    load = networks._build

    def broken(*arguments):
        model = load(*arguments)
        torch.nn.init.constant_(model.layers[-1].bias, float("inf"))
        return model

    monkeypatch.setattr(networks, "_build", broken)
    with pytest.raises(StoreError, match="numbers that are not finite: its weights are damaged"):
        read_test_split(storage, "small")
    (opened,) = readings(storage)
    assert opened.confusion_matrix is None


def test_the_test_split_is_read_once(finished, tmp_path, monkeypatch):
    first = read_test_split(finished, "small")
    monkeypatch.setattr(openings, "open_test_split", None)
    monkeypatch.setattr(networks, "load_training_data", None)
    shutil.rmtree(tmp_path / "studies.artifacts")
    assert read_test_split(finished, "small", tmp_path / "nowhere") == first
    assert readings(finished) == (first,)


def test_an_opening_is_recorded_before_it_happens(finished, monkeypatch):
    def crash(*_):
        raise MemoryError("while reading")

    with monkeypatch.context() as patch:
        patch.setattr(openings, "open_test_split", crash)
        with pytest.raises(MemoryError, match="while reading"):
            read_test_split(finished, "small")
    (opened,) = readings(finished)
    assert opened.confusion_matrix is None
    again = read_test_split(finished, "small")
    assert readings(finished)[-1] == again
    assert again.confusion_matrix is not None


def held(*_):
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
    raise StorageInternalError("an error of the storage") from busy


def full(*_):
    raise sqlite3.OperationalError("database or disk is full")


FAILURES = [(held, "another process does not let go of the file"), (full, "disk is full")]


@pytest.mark.parametrize(("fails", "words"), FAILURES, ids=["held", "full"])
def test_a_store_that_cannot_be_written_is_one_line_and_leaves_the_seal(
    finished, monkeypatch, fails, words
):
    with monkeypatch.context() as patch:
        patch.setattr(Store, "write_test_reading", fails)
        with pytest.raises(SweepFailedError, match=words):
            read_test_split(finished, "small")
    assert readings(finished) == ()
    assert read_test_split(finished, "small").confusion_matrix is not None


@pytest.mark.slow
@pytest.mark.usefixtures("words_only")
@pytest.mark.parametrize(("fails", "words"), FAILURES, ids=["held", "full"])
def test_a_report_is_written_on_a_store_that_cannot_be(
    main, finished, tmp_path, monkeypatch, fails, words
):
    monkeypatch.setattr(Store, "write_test_reading", fails)
    output, errors = main("report small", code=0)
    assert output.endswith("report.html\n")
    assert re.fullmatch(rf"sweep: small: Test split not read: [^\n]*{words}[^\n]*\n", errors)
    assert words in (tmp_path / "report" / "report.html").read_text()


@pytest.mark.usefixtures("words_only")
def test_a_report_shows_an_opening_whose_results_could_not_be_kept(
    main, finished, tmp_path, monkeypatch
):
    write = openings._write

    def second_time(store, study, found):
        if found[0].confusion_matrix is not None:
            full()
        write(store, study, found)

    monkeypatch.setattr(openings, "_write", second_time)
    _, errors = main("report small", code=0)
    assert "Test split not read: database or disk is full" in errors
    page = (tmp_path / "report" / "report.html").read_text()
    assert "opened, but the reading was never finished" in page
    assert len(readings(finished)) == 1


def test_an_unfinished_study_keeps_its_seal(finished):
    Store(finished, to_write=True).change_study("small", finished_by=None)
    with pytest.raises(StoreError, match="is interrupted: the test split stays sealed"):
        read_test_split(finished, "small")
    assert readings(finished) == ()


def test_a_study_at_work_keeps_its_seal(finished):
    store = Store(finished, to_write=True)
    store.change_study("small", finished_by=None)
    with (
        store.lock("small"),
        pytest.raises(StoreError, match="is running: the test split stays sealed"),
    ):
        read_test_split(finished, "small")
    assert readings(finished) == ()


def test_a_finished_study_that_another_process_holds_keeps_its_seal(finished):
    """A second report, say; or a confirmation is being made."""
    with (
        Store(finished, to_write=True).lock("small"),
        pytest.raises(StudyLockedError, match=rf"is held by process {os.getpid()} on .*; wait for"),
    ):
        read_test_split(finished, "small")
    assert readings(finished) == ()


def test_no_confirmation_begins_while_the_best_trial_is_tested(finished, tmp_path, monkeypatch):
    refused: list[str] = []
    load = networks.load_training_data

    def confirm_meanwhile(*arguments, **options):
        if not refused:
            names = {path.name for path in tmp_path.rglob("*")}
            with pytest.raises(StudyLockedError) as caught:
                train_confirmation("small", storage=finished, **HERE)
            refused.append(str(caught.value))
            assert {path.name for path in tmp_path.rglob("*")} == names, "nothing was made"
        return load(*arguments, **options)

    monkeypatch.setattr(networks, "load_training_data", confirm_meanwhile)
    reading = read_test_split(finished, "small")
    assert readings(finished) == (reading,)
    holder = f"study 'small' is held by process {os.getpid()} on "
    assert re.fullmatch(rf"{holder}\S+ since \S+; wait for it or stop it .*", refused[0])
    assert read_confirmation(finished, "small") is None


def test_no_best_trial_is_tested_while_its_confirmation_is_made(finished, monkeypatch):
    tried: list[str] = []
    enqueue = StudySession.enqueue

    def test_meanwhile(session):
        if not tried:
            with pytest.raises(StudyLockedError) as caught:
                read_test_split(finished, "small")
            tried.append(str(caught.value))
        enqueue(session)

    def test_later(event):
        if isinstance(event, StudyOpened):
            with pytest.raises(StoreError, match="has a confirmation: the test split is opened"):
                read_test_split(finished, "small")
            tried.append("later")

    monkeypatch.setattr(StudySession, "enqueue", test_meanwhile)
    with pytest.raises(Interrupted, match="interrupted; "):
        train_confirmation(
            "small",
            storage=finished,
            on_event=test_later,
            stop=lambda: True,
            **HERE,
        )
    assert "is held by process" in tried[0]
    assert tried[1] == "later", "the search is free while its confirmation is trained"
    assert readings(finished) == ()


def test_a_search_that_went_on_since_its_confirmation_was_planned(finished, monkeypatch):
    """The plan is refused: another driver has worked on the search before it could begin."""
    read = sweep.runner.workers.share_data

    def go_on_meanwhile(*arguments):
        monkeypatch.setattr("sweep.runner.workers.share_data", read)
        sweep.resume("small", storage=finished, trials=4, **HERE)
        return read(*arguments)

    monkeypatch.setattr("sweep.runner.workers.share_data", go_on_meanwhile)
    again = f"went on meanwhile; `sweep confirm small --storage {finished}` again"
    with pytest.raises(StoreError, match=again):
        train_confirmation("small", storage=finished, **HERE)
    assert not Store(finished, to_write=False).has_study("small.confirm")


def test_a_study_without_a_complete_trial_has_nothing_to_test(storage):
    sweep.run(space_mapping(), storage=storage, timeout=1e-9, **HERE)
    with pytest.raises(StoreError, match="'small' has no COMPLETE trial to test"):
        read_test_split(storage, "small")


@pytest.mark.parametrize("damage", ["other bytes", "missing"])
def test_weights_that_are_not_the_recorded_ones_leave_the_seal(finished, tmp_path, damage):
    for file in tmp_path.rglob("*.safetensors"):
        file.write_bytes(b"other") if damage == "other bytes" else file.unlink()
    with pytest.raises(StoreError, match=r"the weights of trial \d .* are gone .*, or are not"):
        read_test_split(finished, "small")
    assert readings(finished) == ()


def test_other_data_leave_the_seal(finished, monkeypatch):
    def other(settings):
        return load_training_data(replace(settings, split_seed=99))

    monkeypatch.setattr(networks, "load_training_data", other)
    with pytest.raises(DataError, match="are not those of study 'small': fingerprint"):
        read_test_split(finished, "small")
    assert readings(finished) == ()


def test_a_reading_of_another_trial_does_not_count(finished):
    study = Store(finished, to_write=False).read_study("small")
    other = next(trial for trial in study.trials if trial != study.best)
    earlier = replace(read_test_split(finished, "small"), trial=other.number)
    Store(finished, to_write=True).change_study("small", test_readings=(earlier,))
    later = read_test_split(finished, "small")
    assert later.trial == study.best.number
    assert readings(finished) == (earlier, later)


@pytest.mark.slow
@pytest.mark.usefixtures("words_only")
def test_a_reading_knows_how_many_trials_there_were(finished):
    reading = read_test_split(finished, "small")
    assert reading.num_trials == 3
    sweep.resume("small", storage=finished, trials=5, **HERE)
    data = sweep.report("small", storage=finished, out=Path(finished[10:]).parent / "r").data
    openings = data["studies"]["small"]["test_readings"]
    assert openings[0]["num_trials"] == 3
    if len(openings) == 1:  # the best trial is still the one that was tested
        assert data["studies"]["small"]["trials_after_opening"] == 2
