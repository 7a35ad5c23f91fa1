"""A thousand damaged stores: no traceback, no hang, no silently wrong best trial."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import pytest
from damage_cases import damaged_copies, journal_cases, outcome_of, read_all
from helpers import HERE, PARAMETERS, run_cli, space_mapping, sqlite_url

import sweep

pytestmark = pytest.mark.soak

SEEDS = range(10)
CASES_OF_A_SEED = 100


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    space = space_mapping(
        budget={"trials": 6}, parameters={**PARAMETERS, "epochs": {"low": 2, "high": 5}}
    )
    sweep.run(space, storage=sqlite_url(folder), **HERE)
    return folder


@pytest.mark.parametrize("seed", SEEDS)
def test_a_damaged_store_is_refused_or_unharmed(original, tmp_path, seed):
    truth = read_all(sqlite_url(original))
    outcomes: Counter[str] = Counter()
    for words, _ in damaged_copies(original, tmp_path, CASES_OF_A_SEED, seed):
        outcome = outcome_of(tmp_path, truth)
        assert outcome in ("refused", "unharmed"), words
        outcomes[outcome] += 1
    assert sum(outcomes.values()) == CASES_OF_A_SEED
    assert outcomes["refused"] > outcomes["unharmed"] > 0


def test_journals_that_no_driver_wrote_do_no_harm(original, tmp_path):
    truth = read_all(sqlite_url(original))
    for words in journal_cases(original, tmp_path, 200, seed=0):
        assert outcome_of(tmp_path, truth) in ("refused", "unharmed"), words


def test_the_command_line_says_one_line_of_a_damaged_store(original, tmp_path):
    truth = run_cli("show", "small", "--json", cwd=original).stdout
    for words, file in damaged_copies(original, tmp_path, 20, seed=99):
        damaged = file.read_bytes()
        shutil.copytree(original / "studies.artifacts", tmp_path / "studies.artifacts")
        for line in ("list", "show small --json", "doctor", "resume small --workers 1"):
            done = run_cli(*line.split(), cwd=tmp_path)
            assert "Traceback" not in done.stderr + done.stdout, (words, line)
            if line.startswith("doctor"):
                assert done.returncode in (0, 1), words
                assert file.read_bytes() == damaged, words
            elif done.returncode:
                # `list` goes on without a study that is damaged.
                assert done.returncode in ((1, 2) if line == "list" else (2,)), (words, line)
                assert done.stderr.count("\n") == 1, (words, line, done.stderr)
            elif line.startswith("show"):
                assert json.loads(done.stdout) == json.loads(truth), words
