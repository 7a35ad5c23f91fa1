"""Records that cannot be true are the store's fault; anything else that goes wrong is ours."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import pytest
from hand_made import make_reading, make_study, make_trial, study_of_runs, with_values

from sweep.errors import ContradictionError, InputError, StoreError, SweepFailedError
from sweep.records import StudyRecord, TrialOutcome, TrialRecord
from sweep.reporting import render, tables
from sweep.reporting.contradictions import require_sound
from sweep.reporting.reported import reported, understood
from sweep.reporting.writing import Source, write_report
from sweep.space import SearchSpace


def with_outcome(study: StudyRecord, **changes: Any) -> StudyRecord:
    first, *rest = study.trials
    assert first.outcome is not None
    outcome: TrialOutcome = replace(first.outcome, **changes)
    return replace(study, trials=(replace(first, outcome=outcome), *rest))


def with_accuracy(accuracy: float) -> Callable[[StudyRecord], StudyRecord]:
    def change(study: StudyRecord) -> StudyRecord:
        outcome = study.trials[0].outcome
        assert outcome is not None
        history = tuple(with_values(m, validation_accuracy=accuracy) for m in outcome.history)
        return with_outcome(study, history=history)

    return change


def without_f1(study: StudyRecord) -> StudyRecord:
    outcome = study.trials[0].outcome
    assert outcome is not None
    first, second = outcome.history
    values = {name: value for name, value in second.values.items() if "f1" not in name}
    return with_outcome(study, history=(first, replace(second, values=values)))


def with_params(**changes: Any) -> Callable[[StudyRecord], StudyRecord]:
    def change(study: StudyRecord) -> StudyRecord:
        first, *rest = study.trials
        changed: TrialRecord = replace(first, params=first.params | changes)
        return replace(study, trials=(changed, *rest))

    return change


def with_reading(**changes: Any) -> Callable[[StudyRecord], StudyRecord]:
    return lambda study: replace(study, test_readings=(make_reading(0, **changes),))


def with_mistake(**changes: Any) -> Callable[[StudyRecord], StudyRecord]:
    mistake = replace(make_reading(0).mistakes[0], **changes)
    return with_reading(mistakes=(mistake,))


def without_configuration(study: StudyRecord) -> StudyRecord:
    first, *rest = study.trials
    return replace(study, trials=(replace(first, params={}), *rest))


STRANGE = [
    (without_configuration, "trial 0 ended and has no configuration"),
    (with_accuracy(1.5), "trial 0 has the validation_accuracy 1.5"),
    (with_accuracy(float("nan")), "trial 0 has the validation_accuracy nan"),
    (without_f1, "trial 0 has no validation_f1_macro in epoch 2"),
    (with_reading(num_images=21), "has 21 images and a confusion matrix of 20"),
    (with_reading(confusion_matrix=((20,), ())), "that is not square"),
    (with_reading(confusion_matrix=((-1,),)), "has a confusion matrix with the count -1"),
    (with_reading(confusion_matrix=((10**400,),)), "a confusion matrix of more than 2**53 images"),
    (with_mistake(true=3), "a mistake, image 3, of class 3 taken for 1; there are 3 classes"),
    (with_mistake(predicted=-1), "of class 0 taken for -1"),
    (with_mistake(image=b""), "image 3, of 0 bytes in place of 1 by 2 by 2"),
    (with_mistake(row=("7",)), "image 3, of 1 values in place of 0"),
    (with_reading(columns=("age",)), "image 3, of 0 values in place of 1"),
    (with_reading(losses=b"1234"), "has 20 images and losses of 4 bytes"),
    (with_reading(num_in_training=21), "has 21 of 20 examples in the training pool"),
    (with_reading(num_in_training=-1), "has -1 of 20 examples in the training pool"),
    (with_reading(image_shape=(1, 0, 0)), "of 4 bytes in place of 1 by 0 by 0"),
]


@pytest.mark.parametrize(("change", "words"), STRANGE, ids=[words for _, words in STRANGE])
def test_what_cannot_be_true_is_the_stores_fault(
    study: StudyRecord, space: SearchSpace, change: Callable[[StudyRecord], StudyRecord], words: str
) -> None:
    require_sound(study)
    strange = change(study)
    with pytest.raises(ContradictionError, match=re.escape(words)):
        require_sound(strange)
    with pytest.raises(StoreError, match=re.escape(words)), understood("x"):
        reported(strange, space, None)


def test_the_runs_of_a_confirmation_are_checked_too(space: SearchSpace) -> None:
    search = make_study([make_trial(space, number) for number in range(2)], space)
    runs = study_of_runs([[4], [3]], [0, 1], [make_reading(0, num_images=1)], space)
    with pytest.raises(ContradictionError, match="the reading of trial 0 has 1 images"):
        reported(search, space, runs)


@pytest.mark.parametrize("params", [{"activation": "swish"}, {"num_layers": 9}])
def test_a_value_that_was_not_to_be_chosen_is_the_stores_fault(
    study: StudyRecord, space: SearchSpace, tmp_path: Path, params: dict[str, Any]
) -> None:
    """Also in a study that is too small for importances, which look at it as well."""
    small = replace(with_params(**params)(study), trials=with_params(**params)(study).trials[:3])
    expected = "cannot be shown: its records contradict .* not in the search space"
    with pytest.raises(StoreError, match=expected):
        write_report(tmp_path / "out", [Source(small, None, ())], top=10)
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------- our own faults


def slip(*_: object) -> None:
    nothing: dict[str, int] = {}
    nothing["epochs"]


def undefined(*_: object, **__: object) -> None:
    jinja2.Template("{{ a.b }}", undefined=jinja2.StrictUndefined).render()


def missing(*_: object) -> None:
    _.nothing  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.slow
@pytest.mark.usefixtures("words_only")
@pytest.mark.parametrize(
    ("home", "name", "fault", "words"),
    [
        (tables, "counts", slip, r"KeyError 'epochs' in reporting/findings\.py:\d+; if"),
        (tables, "counts", missing, r"AttributeError [^\n]* in reporting/findings\.py:\d+; if"),
        (render, "_yaml", slip, r"KeyError 'epochs' in reporting/templates/\w+\.html\.j2:\d+; if"),
        (render, "_yaml", undefined, r"UndefinedError 'a' is undefined in reporting/templates/"),
    ],
    ids=["computing", "attribute", "page", "template"],
)
def test_a_slip_of_ours_is_called_one_and_named_with_its_place(
    study: StudyRecord,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    home: Any,
    name: str,
    fault: Callable[..., None],
    words: str,
) -> None:
    monkeypatch.setattr(home, name, fault)
    with pytest.raises(
        SweepFailedError, match=rf"^study 'hand-made' cannot be shown: {words}"
    ) as it:
        write_report(tmp_path / "out", [Source(study, None, ())], top=10)
    assert "a fault of sweep: please report it" in str(it.value)
    assert "\n" not in str(it.value)
    assert it.value.__cause__ is not None, "the traceback is kept"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("error", [InputError("mine"), OSError(28, "full"), MemoryError("no")])
def test_what_says_itself_what_is_wrong_is_left_alone(error: Exception) -> None:
    with pytest.raises(type(error)) as found, understood("x"):
        raise error
    assert found.value is error
