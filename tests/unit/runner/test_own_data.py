"""Data that the project does not know: images in colour, and a table with hundreds of classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import HERE, space_mapping, sqlite_url, timeless
from PIL import Image

import sweep
from sweep import definitions
from sweep.codec import unpack_labels
from sweep.data import sources
from sweep.data.parts import Part, Pool
from sweep.errors import InputError, Interrupted
from sweep.evaluation import read_test_split
from sweep.records import DataSpec, Epoch, Notice, Resumed, StudyRecord, TrialState
from sweep.reporting.statistics import validation_matrix
from sweep.store import Store

ENGINES = ("sequential", "stacked")


@dataclass(frozen=True)
class Made:
    """A source of examples that are made up: each class has a centre of its own."""

    spec: DataSpec
    centres: np.ndarray
    noise: float

    def pool(self) -> Pool:
        return Pool(self._make(self.spec.num_pool, 0), self.spec.class_names, self.spec.num_test)

    def is_here(self) -> bool:
        return True

    def test(self) -> Part:
        return self._make(self.spec.num_test, 1)

    def _make(self, number: int, seed: int) -> Part:
        spec = self.spec
        generator = np.random.default_rng(seed)
        labels = generator.permutation(np.arange(number) % spec.num_classes)
        values = self.centres[labels] + generator.normal(0, self.noise, (number, spec.num_inputs))
        if spec.kind == "image":
            values = np.clip(values, 0, 255)
        return Part(values.reshape(-1, *spec.input_shape).astype(spec.dtype), labels)


def names(count: int) -> tuple[str, ...]:
    return tuple(f"kind {index}" for index in range(count))


def made(kind: str) -> Made:
    generator = np.random.default_rng(9)
    if kind == "colours":  # the classes differ in the colour of the whole image
        spec = DataSpec("image", (3, 8, 8), names(3), 240, 60)
        return Made(spec, np.repeat(np.eye(3) * 120 + 60, 64, axis=1), 40.0)
    spec = DataSpec("table", (12,), names(300), 1800, 600)
    columns = generator.uniform(0.01, 100, 12)  # some are thousands of times as large as others
    return Made(spec, generator.normal(size=(300, 12)) * columns, 0.05)


PARAMETERS = {
    "num_layers": 2,
    "layer_size": {"choices": [32, 64]},
    "learning_rate": {"low": 5e-3, "high": 2e-2, "log": True},
    "epochs": 6,
    "batch_size": 32,
}


@pytest.fixture(params=["colours", "many classes"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Made:
    """A data set `mine`, known to this process alone."""
    found = made(request.param)
    monkeypatch.setitem(definitions.DATASETS, "mine", found.spec)
    monkeypatch.setitem(sources.SOURCES, "mine", lambda _settings: found)
    return found


def space(**changes: Any) -> dict[str, Any]:
    return space_mapping(**{"dataset": "mine", "parameters": PARAMETERS, **changes})


def options(engine: str) -> dict[str, Any]:
    return {**HERE, "engine": engine, "lanes": 1}


def results(study: StudyRecord) -> list[Any]:
    return [(trial.params, timeless(trial.outcome)) for trial in study.trials]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_a_sweep_learns_them_and_keeps_what_it_answered(storage, source, engine):
    study = sweep.run(space(), storage=storage, **options(engine))
    spec = source.spec
    labels = unpack_labels(study.data.validation_labels, spec.num_classes)
    assert study.data.spec == spec
    assert len(labels) == spec.num_pool // 6
    assert labels.max() == spec.num_classes - 1
    for trial in study.trials:
        assert trial.state is TrialState.COMPLETE
        answers = unpack_labels(trial.outcome.validation_predictions, spec.num_classes)
        assert (answers == labels).mean() == study.value(trial)
        matrix = np.array(validation_matrix(study, trial))
        assert matrix.shape == (spec.num_classes,) * 2
        np.testing.assert_array_equal(matrix.sum(1), np.bincount(labels))
        assert matrix.trace() == (answers == labels).sum()
    assert study.value(study.best) > 0.8
    assert Store(storage, to_write=False).read_study("small") == study


@pytest.mark.slow
def test_both_engines_learn_the_same(tmp_path, source):
    found = []
    for engine in ENGINES:
        (tmp_path / engine).mkdir()
        url = sqlite_url(tmp_path / engine)
        found.append(sweep.run(space(budget={"trials": 1}), storage=url, **options(engine)))
    one, other = (study.trials[0] for study in found)
    assert one.params == other.params
    for mine, theirs in zip(one.outcome.history, other.outcome.history, strict=True):
        assert mine.values == pytest.approx(dict(theirs.values), rel=0.02, abs=0.02)


def stop_in_the_second_epoch() -> tuple[Callable[[Any], None], Callable[[], bool]]:
    seen: list[int] = []

    def watch(event: Any) -> None:
        if isinstance(event, Epoch):
            seen.extend(metrics.epoch for metrics in event.metrics)

    return watch, lambda: 2 in seen


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_a_sweep_goes_on_where_it_was_stopped(tmp_path, source, engine):
    for name in ("whole", "halved"):
        (tmp_path / name).mkdir()
    whole = sweep.run(space(), storage=sqlite_url(tmp_path / "whole"), **options(engine))

    storage = sqlite_url(tmp_path / "halved")
    watch, stop = stop_in_the_second_epoch()
    with pytest.raises(Interrupted, match="interrupted"):
        sweep.run(space(), storage=storage, on_event=watch, stop=stop, **options(engine))
    events: list[Any] = []
    halved = sweep.resume("small", storage=storage, on_event=events.append, **options(engine))
    assert [e.trial for e in events if isinstance(e, Resumed)] == [0]
    assert results(halved) == results(whole)


@pytest.mark.slow
def test_the_test_part_is_read_once_and_kept(storage, source):
    study = sweep.run(space(), storage=storage, **options("sequential"))
    reading = read_test_split(storage, "small")
    spec, test = source.spec, source.test()
    truth = unpack_labels(reading.labels, spec.num_classes)
    answers = unpack_labels(reading.predictions, spec.num_classes)
    assert (reading.trial, reading.num_images) == (study.best.number, spec.num_test)
    np.testing.assert_array_equal(truth, test.labels)
    assert reading.num_correct == (truth == answers).sum() > 0.8 * spec.num_test
    matrix = np.zeros((spec.num_classes,) * 2, int)
    np.add.at(matrix, (truth, answers), 1)
    assert reading.confusion_matrix == tuple(map(tuple, matrix.tolist()))
    is_image = spec.kind == "image"
    assert reading.image_shape == (spec.input_shape if is_image else ())
    for mistake in reading.mistakes:
        expected = test.inputs[mistake.index].tobytes() if is_image else b""
        assert mistake.image == expected
        row = () if is_image else tuple(f"{value:.6g}" for value in test.inputs[mistake.index])
        assert mistake.row == row
    assert reading.columns == (() if is_image else tuple(map(str, range(12))))
    assert reading.num_in_training == 0
    (kept,) = Store(storage, to_write=False).read_study("small").test_readings
    assert kept == reading


@pytest.mark.slow
def test_a_trial_is_reproduced(storage, source):
    sweep.run(space(budget={"trials": 1}), storage=storage, **options("stacked"))
    assert sweep.reproduce("small", 0, storage=storage, executor="inline").is_identical


@pytest.mark.slow
def test_a_picture_is_told_by_its_colours_and_a_table_is_none(storage, source, tmp_path):
    sweep.run(space(), storage=storage, **options("sequential"))
    files = []
    for colour in ("red", "lime", "blue"):
        files.append(tmp_path / f"{colour}.png")
        Image.new("RGB", (40, 40), colour).save(files[-1])
    if source.spec.kind == "image":
        found = sweep.predict("small", files, storage=storage)
        assert [each.class_name for each in found] == ["kind 0", "kind 1", "kind 2"]
    else:
        with pytest.raises(InputError, match="the network was trained on arrays of rows; give an"):
            sweep.predict("small", files, storage=storage)


@pytest.mark.slow
def test_the_commands_know_them(main, source, tmp_path):
    (tmp_path / "space.yaml").write_text(json.dumps(space()))
    assert "data set mine" in main("check space.yaml", code=0)[0]
    main("run space.yaml --workers 1", code=0)
    shown = json.loads(main("show small --json", code=0)[0])
    assert (shown["dataset"], shown["state"]) == ("mine", "finished")
    trial, _ = main(f"show small {shown['best']['number']}", code=0)
    assert "validation balanced accuracy" in trial
    main("doctor", code=0)


class People:
    """A table of words and numbers, with three of its test rows in the training pool."""

    def __init__(self, _settings: object) -> None:
        generator = np.random.default_rng(0)
        self._labels = generator.permutation(np.arange(300) % 2)
        words = np.where(self._labels == generator.integers(0, 6, 300), None, "a,b")
        age = generator.normal(40 + 9 * self._labels, 8).round(2)
        self._rows = pd.DataFrame({"word": words, "age": age, "id": np.arange(300)})
        self._rows.iloc[-3:] = self._rows.iloc[:3].to_numpy()

    def pool(self) -> Pool:
        examples = Part(self._rows.iloc[:240], self._labels[:240])
        notes = ("7 rows without a class were left out",)
        return Pool(examples, ("no", "yes"), 60, content="ab", notes=notes)

    def test(self) -> Part:
        return Part(self._rows.iloc[240:], self._labels[240:])


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A search space of a table."""
    monkeypatch.setitem(sources.OWN_SOURCES, "table", People)
    return space(dataset={"table": "people.csv", "target": "kind"}, budget={"trials": 1})


def test_a_tables_mistakes_are_its_rows_and_what_is_no_news_is_counted(storage, people):
    events: list[Any] = []
    study = sweep.run(people, storage=storage, **options("sequential"), on_event=events.append)
    assert [e.text for e in events if isinstance(e, Notice)] == [*study.data.notes]
    reading = read_test_split(storage, "small")
    assert (reading.columns, reading.num_in_training) == (("word", "age", "id"), 3)
    rows = People(None).test().inputs
    assert reading.mistakes
    for mistake in reading.mistakes:
        word, age, number = rows.iloc[mistake.index]
        assert mistake.row == ("" if pd.isna(word) else word, f"{age:.10g}", str(number))
    assert Store(storage, to_write=False).read_study("small").test_readings == (reading,)

    events.clear()
    sweep.resume("small", storage=storage, **options("sequential"), on_event=events.append)
    assert not any(isinstance(event, Notice) for event in events)


def test_what_check_says_of_a_table(main, people, tmp_path):
    (tmp_path / "space.yaml").write_text(json.dumps(people))
    lines = main("check space.yaml", code=0)[0].splitlines()
    assert lines[:8] == [
        "small: valid; random sampler, no pruner, data set people.csv",
        "data: rows of 3 columns, encoded as 4 numbers; 200 for training, 40 for validation, "
        "60 sealed for the test",
        *lines[2:4],
        "missing values: " + lines[4].removeprefix("missing values: "),
        "warning: every row has its own value of 'id', or nearly every one: if it identifies rows, "
        "leave it out, for it tells nothing about new ones",
        "warning: 3 of 60 test examples (5.0%) also stand in the training pool: a test result "
        "may be too good by what a network remembers of them",
        "note: 7 rows without a class were left out",
    ]
    assert lines[2].startswith("classes: 2; 'no' 5")
    assert lines[3].startswith("baseline: always saying 'no' gets 5")
    assert lines[4].startswith("missing values: 'word' ")
    assert [path.name for path in tmp_path.iterdir()] == ["space.yaml"]


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_table_whose_images_are_to_be_changed_is_refused(main, people, tmp_path, command):
    parameters = {**PARAMETERS, "flip": {"choices": ["none", "horizontal"]}}
    (tmp_path / "space.yaml").write_text(json.dumps({**people, "parameters": parameters}))
    _, errors = main(f"{command} space.yaml", code=2)
    assert errors.strip().splitlines() == [
        "sweep: flip changes images; data set people.csv has none: leave it out"
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["space.yaml"]


@pytest.mark.slow
@pytest.mark.usefixtures("words_only")
def test_a_report_shows_them(storage, source, tmp_path):
    study = sweep.run(space(), storage=storage, **options("sequential"))
    written = sweep.report("small", storage=storage, out=tmp_path / "report")
    page = written.html.read_text()
    assert "kind 0" in page
    assert f"{study.value(study.best):.2%}"[:4] in page
    (reading,) = Store(storage, to_write=False).read_study("small").test_readings
    assert reading.num_images == source.spec.num_test
    assert Path(tmp_path / "report" / "trials.csv").exists()


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_table_is_nothing_for_convolutions(main, people, tmp_path, command):
    written = {**people, "model": "cnn", "parameters": {"epochs": 1}}
    (tmp_path / "space.yaml").write_text(json.dumps(written))
    _, errors = main(f"{command} space.yaml", code=2)
    assert errors.strip().splitlines() == [
        "sweep: model cnn needs images; data set people.csv has none: choose another model"
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["space.yaml"]
