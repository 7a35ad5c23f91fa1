"""What a shell asks for while a key is pressed: an answer at once, no message and no new file."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import click

from sweep.words import DEFAULT_STORAGE

__all__ = ["COMPLETE_VARIABLE", "SHELLS", "complete_study"]

COMPLETE_VARIABLE = "_SWEEP_COMPLETE"
SHELLS = ("bash", "zsh", "fish")

_PLAIN_NAME = re.compile(r"[\w.-]+", re.ASCII)  # a shell takes what it is given without quotes


def complete_study(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Names of studies in the store that the line names so far.

    It reads the file itself: `sweep.store` takes a second to import.
    """
    import sqlite3  # not with every command: what comes before its signals are handled is short

    storage = context.params.get("storage")
    path = Path((storage if isinstance(storage, str) else DEFAULT_STORAGE)[len("sqlite:///") :])
    try:
        if not path.is_file():
            return []
        # Immutable: no lock is taken, and nothing is made beside the file.
        uri = f"file:{quote(str(path))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            rows = connection.execute("SELECT study_name FROM studies ORDER BY study_name")
            names = [str(name) for (name,) in rows]
    except (OSError, ValueError, sqlite3.Error):
        return []
    return [each for each in names if each.startswith(incomplete) and _PLAIN_NAME.fullmatch(each)]
