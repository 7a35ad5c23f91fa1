"""Seeded damage to a store file, which must be refused or harmless."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

from helpers import sqlite_url, without_clock

from sweep.errors import InputError
from sweep.records import StudyRecord
from sweep.store import Store

Truth = dict[str, StudyRecord]


def read_all(url: str) -> Truth:
    """Everything in a store except weights and Optuna's clock, which is only displayed."""
    store = Store(url, to_write=False)
    return {name: without_clock(store.read_study(name)) for name in store.all_names()}


def flip(content: bytearray, draw: random.Random) -> str:
    place, bit = draw.randrange(len(content)), draw.randrange(8)
    content[place] ^= 1 << bit
    return f"bit {bit} of byte {place}"


def flip_text(content: bytearray, draw: random.Random) -> str:
    """Flip a bit outside the empty parts of pages."""
    places = [place for place, byte in enumerate(content) if byte]
    place, bit = draw.choice(places), draw.randrange(8)
    content[place] ^= 1 << bit
    return f"bit {bit} of the used byte {place}"


def scribble(content: bytearray, draw: random.Random) -> str:
    place, length = draw.randrange(len(content)), draw.choice([2, 4, 16, 100, 5000])
    piece = draw.choice([bytes(length), b"\xff" * length, draw.randbytes(length)])
    content[place : place + length] = piece[: len(content) - place]
    return f"{length} bytes at {place}"


def move(content: bytearray, draw: random.Random) -> str:
    """Copy a page over another one, as a misdirected write does."""
    pages = len(content) // 4096
    source, target = draw.randrange(pages), draw.randrange(pages)
    content[target * 4096 : (target + 1) * 4096] = content[source * 4096 : (source + 1) * 4096]
    return f"page {source} in place of page {target}"


def truncate(content: bytearray, draw: random.Random) -> str:
    length = draw.choice([draw.randrange(len(content)), draw.randrange(len(content)) & ~4095])
    del content[length:]
    return f"cut to {length} bytes"


KINDS = [flip, flip_text, flip_text, scribble, move, truncate]


def damaged_copies(
    original: Path, folder: Path, number: int, seed: int
) -> Iterator[tuple[str, Path]]:
    """Damaged copies of a store, one after another in the same place, each with a description."""
    content = (original / "studies.db").read_bytes()
    target = folder / "studies.db"
    for case in range(number):
        draw = random.Random(seed * 1_000_000 + case)  # noqa: S311
        changed = bytearray(content)
        words = draw.choice(KINDS)(changed, draw)
        for left in folder.glob("studies.db*"):
            left.unlink()
        shutil.rmtree(folder / "studies.artifacts", ignore_errors=True)
        target.write_bytes(changed)
        yield f"case {case} of seed {seed}: {words}", target


def outcome_of(folder: Path, truth: Truth) -> str:
    """`refused`, `unharmed`, or what went wrong."""
    try:
        found = read_all(sqlite_url(folder))
    except InputError as error:
        message = str(error)
        return "refused" if "\n" not in message else f"a message of several lines: {message!r}"
    if found == truth:
        return "unharmed"
    if not found:
        return "unharmed" if not (folder / "studies.db").read_bytes() else "no study is left"
    return "another study was read in silence"


def journal_cases(original: Path, folder: Path, number: int, seed: int) -> Iterator[str]:
    """An undamaged store beside a journal that no driver wrote."""
    shutil.copy(original / "studies.db", folder)
    magic = bytes.fromhex("d9d505f920a163d7")
    for case in range(number):
        draw = random.Random(seed * 1_000_000 + case)  # noqa: S311
        start = draw.choice([b"", magic, magic + bytes(4)])
        content = start + draw.randbytes(draw.choice([0, 1, 500, 4616, 9000]))
        (folder / "studies.db").write_bytes((original / "studies.db").read_bytes())
        (folder / "studies.db-journal").write_bytes(content)
        yield f"journal {case} of seed {seed}: {len(content)} bytes"
