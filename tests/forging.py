"""Records changed as a stranger would change them: anybody can make a digest.

User attributes are made to fit, too.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from sweep.codec import from_plain
from sweep.store.digests import with_digest
from sweep.store.stored import StoredStudy, StoredTrial, study_summary, trial_summary
from sweep.study import RECORD

Plain = dict[str, Any]
Change = Callable[[Plain], Plain]

OWNERS = {
    "study": "SELECT study_id, study_name, NULL FROM studies",
    "trial": "SELECT trial_id, study_name, number FROM trials JOIN studies USING (study_id)",
}


def forge(
    folder: Path,
    *,
    study: Change = lambda plain: plain,
    trial: Callable[[int, Plain], Plain] = lambda _, plain: plain,
    of: str | None = None,
) -> None:
    """Change all records of the studies, or of one, and of their trials, given their numbers.

    Records get new digests for their owners as they are named now.
    """
    with closing(sqlite3.connect(folder / "studies.db")) as database, database:
        for kind, query in OWNERS.items():
            for row, name, number in database.execute(query).fetchall():
                if of not in (None, name):
                    continue
                found = database.execute(
                    f"SELECT value_json FROM {kind}_system_attributes "  # noqa: S608
                    f"WHERE {kind}_id = ? AND key = ?",
                    (row, RECORD),
                ).fetchone()
                if found is None:
                    continue
                stored = json.loads(found[0])
                plain = stored["record"]
                plain = study(plain) if kind == "study" else trial(number, plain)
                owner = [stored["owner"][0], name if kind == "study" else number]
                _set(database, f"{kind}_system", row, {RECORD: with_digest(owner, plain)})
                _set(database, f"{kind}_user", row, summary(kind, plain))


def in_part(record: Plain, part: str, **changes: Any) -> Plain:
    """The record with changes in one of its parts."""
    return {**record, part: {**record[part], **changes}}


def summary(kind: str, plain: Plain) -> Plain:
    """The user attributes that fit a record; none if it is not valid."""
    try:
        if kind == "study":
            return dict(study_summary(from_plain(StoredStudy, plain)))
        record = from_plain(StoredTrial, plain)
    except (LookupError, TypeError, ValueError):
        return {}
    return {} if record.outcome is None else dict(trial_summary(record))


def _set(database: sqlite3.Connection, table: str, row: int, values: Plain) -> None:
    owner = table.split("_")[0]
    for key, value in values.items():
        place = (row, key)
        where = f"WHERE {owner}_id = ? AND key = ?"
        database.execute(f"DELETE FROM {table}_attributes {where}", place)  # noqa: S608
        database.execute(
            f"INSERT INTO {table}_attributes ({owner}_id, key, value_json) VALUES (?, ?, ?)",  # noqa: S608
            (*place, json.dumps(value)),
        )
