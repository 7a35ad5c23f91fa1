"""Optuna's storage, with plain SQL for the calls that a driver makes for every trial and epoch.

Optuna's own way through SQLAlchemy's objects takes a millisecond or more for each of them, which is
most of what a driver does. The rows are the same: a test compares them with those of Optuna.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from sqlite3 import Connection
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    check_distribution_compatibility,
    distribution_to_json,
    json_to_distribution,
)
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

__all__ = ["PlainStorage"]

_NOT_FINITE = {"NAN": math.nan, "INF_POS": math.inf, "INF_NEG": -math.inf}


class PlainStorage(RDBStorage):
    """Writes what Optuna's storage writes to an SQLite file, on its one connection.

    Args:
        connection: The connection that `options` make the engine use, too.
        options: Those of Optuna's storage.
    """

    def __init__(self, connection: Connection, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._connection = connection

    # ------------------------------------------------------------ reads

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """The id of a trial, or a `KeyError`."""
        query = "SELECT trial_id FROM trials WHERE study_id = ? AND number = ?"
        found = self._connection.execute(query, (study_id, trial_number)).fetchall()
        if len(found) != 1:  # Optuna says what is wrong
            return super().get_trial_id_from_study_id_trial_number(study_id, trial_number)
        return int(found[0][0])

    def get_trial_system_attrs(self, trial_id: int) -> dict[str, Any]:
        """The system attributes of a trial."""
        self._state(trial_id)
        query = "SELECT key, value_json FROM trial_system_attributes WHERE trial_id = ?"
        return {k: json.loads(v) for k, v in self._connection.execute(query, (trial_id,))}

    def get_trial_user_attrs(self, trial_id: int) -> dict[str, Any]:
        """The user attributes of a trial."""
        self._state(trial_id)
        query = "SELECT key, value_json FROM trial_user_attributes WHERE trial_id = ?"
        return {k: json.loads(v) for k, v in self._connection.execute(query, (trial_id,))}

    def reports(self, trial_id: int) -> dict[int, float]:
        """What a trial has reported, by step, in the order of the steps."""
        rows = self._connection.execute(
            "SELECT step, intermediate_value, intermediate_value_type "
            "FROM trial_intermediate_values WHERE trial_id = ? ORDER BY step",
            (trial_id,),
        )
        return {step: _restored(value, kind) for step, value, kind in rows}

    # ------------------------------------------------------------ writes

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial, RUNNING unless there is a template."""
        if template_trial is not None:
            return super().create_new_trial(study_id, template_trial)
        with self._writing():
            # The number in the same statement: another program may create trials, too.
            created = self._connection.execute(
                "INSERT INTO trials (study_id, number, state, datetime_start) "
                "SELECT study_id, (SELECT COUNT(*) FROM trials WHERE study_id = :study), "
                "'RUNNING', :now FROM studies WHERE study_id = :study",
                {"study": study_id, "now": _now()},
            )
            if created.rowcount != 1:
                raise KeyError(f"there is no study {study_id}")
        assert created.lastrowid is not None  # noqa: S101 - for the type checker
        return created.lastrowid

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Set a parameter; a `ValueError` if the study has it with another kind of values."""
        text = distribution_to_json(distribution)
        with self._changing(trial_id):
            earlier = self._connection.execute(
                "SELECT p.distribution_json FROM trials own JOIN trials USING (study_id) "
                "JOIN trial_params p ON p.trial_id = trials.trial_id "
                "WHERE own.trial_id = ? AND p.param_name = ? LIMIT 1",
                (trial_id, param_name),
            ).fetchone()
            if earlier and earlier[0] != text:
                check_distribution_compatibility(json_to_distribution(earlier[0]), distribution)
            self._connection.execute(
                "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) "
                "VALUES (?, ?, ?, ?) ON CONFLICT (trial_id, param_name) DO NOTHING",
                (trial_id, param_name, param_value_internal, text),
            )

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Set what a trial reports for one step."""
        with self._changing(trial_id):
            self._connection.execute(
                "INSERT INTO trial_intermediate_values "
                "(trial_id, step, intermediate_value, intermediate_value_type) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (trial_id, step) DO UPDATE SET "
                "intermediate_value = excluded.intermediate_value, "
                "intermediate_value_type = excluded.intermediate_value_type",
                (trial_id, step, *_stored(intermediate_value)),
            )

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set a system attribute of a trial."""
        with self._changing(trial_id):
            self._connection.execute(
                "INSERT INTO trial_system_attributes (trial_id, key, value_json) VALUES (?, ?, ?) "
                "ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json",
                (trial_id, key, json.dumps(value)),
            )

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Set state and values; False if a trial that is to start has started already."""
        with self._changing(trial_id) as former:
            rows = [(trial_id, i, *_stored(value)) for i, value in enumerate(values or ())]
            self._connection.executemany(
                "INSERT INTO trial_values (trial_id, objective, value, value_type) "
                "VALUES (?, ?, ?, ?) ON CONFLICT (trial_id, objective) DO UPDATE SET "
                "value = excluded.value, value_type = excluded.value_type",
                rows,
            )
            if state is TrialState.RUNNING and former is not TrialState.WAITING:
                return False
            started = _now() if state is TrialState.RUNNING else None
            ended = _now() if state.is_finished() else None
            self._connection.execute(
                "UPDATE trials SET state = ?, datetime_start = COALESCE(?, datetime_start), "
                "datetime_complete = COALESCE(?, datetime_complete) WHERE trial_id = ?",
                (state.name, started, ended, trial_id),
            )
        return True

    # ------------------------------------------------------------ plumbing

    def _state(self, trial_id: int) -> TrialState:
        query = "SELECT state FROM trials WHERE trial_id = ?"
        found = self._connection.execute(query, (trial_id,)).fetchone()
        if found is None:
            raise KeyError(f"there is no trial with id {trial_id}")
        return TrialState[found[0]]

    @contextmanager
    def _changing(self, trial_id: int) -> Iterator[TrialState]:
        """Change a trial that has not ended; gives its state."""
        with self._writing():
            state = self._state(trial_id)
            self.check_trial_is_updatable(trial_id, state)
            yield state

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Commit what is written inside, or take it back."""
        try:
            yield
            self._connection.commit()
        except BaseException:
            self._connection.rollback()
            raise


def _stored(value: float) -> tuple[float | None, str]:
    """A number as Optuna stores it: SQLite has no infinite numbers, and NULL for NaN."""
    if math.isfinite(value):
        return value, "FINITE"
    if math.isnan(value):
        return None, "NAN"
    return None, "INF_POS" if value > 0 else "INF_NEG"


def _restored(value: float | None, kind: str) -> float:
    """A number that was stored; a `ValueError` if it was not."""
    found = value if kind == "FINITE" else _NOT_FINITE.get(kind)
    if found is None or (kind != "FINITE" and value is not None):
        raise ValueError(f"no number is stored as {value!r} and {kind!r}")
    return found


def _now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
