"""Drivers that are killed, and what must be true of their study afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers import children, cli_environment, is_alive, sqlite_url, timeless, wait_for

from sweep.records import StudyRecord, StudyState, TrialState
from sweep.store import Store

SCRIPT = Path(__file__).with_name("ledger_driver.py")
# Checkpoints as often as every epoch or two: the more is written, the more can go wrong.
_WORK = ("--workers", 1, "--device", "cpu", "--checkpoint-every", "0.01")
ENGINES = {
    "sequential": (*_WORK, "--engine", "sequential"),
    "stacked": (*_WORK, "--engine", "stacked", "--lanes", 4),
}
PARAMETERS = {
    "num_layers": {"low": 1, "high": 3},
    "layer_size": {"choices": [16, 32, 64]},
    "learning_rate": {"low": 1e-3, "high": 1e-2, "log": True},
    "epochs": 16,
    "dropout": 0.1,
    "batch_size": 64,
}


def small_space(num_trials: int, **changes: Any) -> dict[str, Any]:
    """A search space with everything that remembers: a sampler that learns, a pruner, dropout."""
    return {
        "name": "small",
        "dataset": "digits",
        "parameters": PARAMETERS,
        "sampler": {"type": "tpe", "seed": 3, "n_startup_trials": 2},
        "pruner": {"type": "median", "n_startup_trials": 1, "n_warmup_steps": 4},
        "budget": {"trials": num_trials},
        **changes,
    }


def prepare(folder: Path, space: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "space.yaml").write_text(json.dumps(space))
    return folder


@dataclass(frozen=True)
class Accident:
    """What happens to a driver before or after the n-th call of a named function."""

    point: str
    when: str = "before"
    call: int = 1
    action: str = "kill"
    held: str = ""
    until: str = ""


def start_driver(
    folder: Path, *arguments: object, accidents: tuple[Accident, ...] = (), **plan: Any
) -> subprocess.Popen[str]:
    """Start the command line with a ledger and with accidents, in a folder with a `space.yaml`.

    Without arguments it goes on with the study, or starts it.
    """
    plans = folder / "plans"
    plans.mkdir(exist_ok=True)
    file = plans / f"{uuid.uuid4().hex}.json"
    file.write_text(
        json.dumps(
            {
                "arguments": [str(argument) for argument in arguments],
                "ledger": str(folder / "ledger.jsonl"),
                "accidents": [vars(accident) for accident in accidents],
                **plan,
            }
        )
    )
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(file)],
        cwd=folder,
        env=cli_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def go_on(
    folder: Path, *options: object, accidents: tuple[Accident, ...] = (), timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """`sweep run` to its end, whatever that is: it makes the study or goes on with it."""
    with start_driver(folder, "run", "space.yaml", *options, accidents=accidents) as driver:
        try:
            output, errors = driver.communicate(timeout=timeout)
        except BaseException:
            kill_all(driver)
            raise
    return subprocess.CompletedProcess(driver.args, driver.returncode, output, errors)


def kill_all(driver: subprocess.Popen[str]) -> None:
    """End a driver and its workers at one instant: none of them sees another die."""
    workers = set()
    if driver.poll() is None:
        driver.send_signal(signal.SIGSTOP)
        workers = children(driver.pid)
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):  # it may have been ending
                os.kill(worker, signal.SIGKILL)
        driver.kill()
    driver.communicate()
    wait_for(lambda: not any(map(is_alive, workers)))


# ------------------------------------------------------------ what is found afterwards


def read_ledger(folder: Path) -> list[dict[str, Any]]:
    path = folder / "ledger.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def read_study(folder: Path, name: str = "small") -> StudyRecord:
    return Store(sqlite_url(folder), to_write=False).read_study(name)


def what_happened(folder: Path) -> list[Any]:
    """Everything about every trial but the time that it took."""
    return [
        (t.params, t.state, t.reports, t.audited, timeless(t.outcome))
        for t in read_study(folder).trials
    ]


def weights(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.safetensors")}


def check_same(folder: Path, undisturbed: Path) -> None:
    """Configurations, histories, states, outcomes, weights and best trial are what they were."""
    assert what_happened(folder) == what_happened(undisturbed)
    assert weights(folder) == weights(undisturbed)
    best, expected = read_study(folder).best, read_study(undisturbed).best
    assert best is not None
    assert expected is not None
    assert best.number == expected.number


def check_integrity(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "studies.db", timeout=30)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []


def check_acknowledged(folder: Path, study: StudyRecord, *, to_the_last_bit: bool) -> int:
    """Every line of the ledger is in the study, with the same value; gives their number.

    An epoch that was trained again gives the same value to the last bit in the sequential engine
    only. The report that counts is the first.
    """
    lines = read_ledger(folder)
    epochs: dict[tuple[int, int], list[float]] = defaultdict(list)
    finished: dict[int, dict[str, Any]] = {}
    configs: dict[int, list[Any]] = defaultdict(list)
    for line in lines:
        trial = line["trial"]
        match line["kind"]:
            case "started":
                assert trial not in finished, f"trial {trial} was started after it had ended"
                configs[trial].append(line["config"])
            case "epoch":
                assert trial not in finished, f"trial {trial} reported after it had ended"
                epochs[trial, line["epoch"]].append(line["value"])
            case "finished":
                assert trial not in finished, f"trial {trial} ended twice"
                finished[trial] = line
    for (trial, epoch), values in epochs.items():
        assert study.trials[trial].reports.get(epoch) == values[0], (trial, epoch, values)
        if to_the_last_bit:
            assert set(values) == {values[0]}, (trial, epoch, values)
    for trial, line in finished.items():
        record = study.trials[trial]
        assert record.state == line["state"], (trial, line, record.state)
        assert record.outcome is not None
        assert record.outcome.best is not None
        assert study.objective.value(record.outcome.best) == line["value"], (trial, line)
    for trial, found in configs.items():
        assert all(config == found[0] for config in found), f"trial {trial} changed: {found}"
        given = {key: found[0][key] for key in study.trials[trial].params}
        assert study.trials[trial].params == given
    return len(lines)


def check_files(folder: Path, study: StudyRecord) -> None:
    """The weights of the best trials are whole; nothing that an interruption left is there."""
    artifacts = folder / "studies.artifacts" / study.name
    store = Store(sqlite_url(folder), to_write=False)
    kept = {f"trial-{trial.number:05d}.safetensors" for trial in study.ranked()[:10]}
    for trial in study.ranked()[:10]:
        assert store.read_weights(study.name, trial.number), f"weights of {trial.number} are lost"
    left = {file.name for file in artifacts.iterdir()} - kept
    # What a kill between the last commit and the tidying leaves is tidied by the next outcome.
    assert not {name for name in left if name.startswith(("checkpoint-", "driver.json"))}
    assert not {name for name in left if name.endswith(".tmp")}


def check_whole(folder: Path, num_trials: int, *, to_the_last_bit: bool) -> int:
    """All that is promised of a finished study; gives the number of acknowledged lines."""
    check_integrity(folder)
    study = read_study(folder)
    assert study.state is StudyState.FINISHED
    assert [trial.number for trial in study.trials] == list(range(num_trials))
    states = {trial.state for trial in study.trials}
    assert states <= {TrialState.COMPLETE, TrialState.PRUNED}, [t.state for t in study.trials]
    for trial in study.trials:
        outcome = trial.outcome
        assert outcome is not None
        history = {m.epoch: study.objective.value(m) for m in outcome.history}
        assert list(history) == list(range(1, len(history) + 1))
        assert list(trial.reports) == list(history)
        if to_the_last_bit:
            assert trial.reports == history
    check_files(folder, study)
    return check_acknowledged(folder, study, to_the_last_bit=to_the_last_bit)


# ------------------------------------------------------------ random instants


@dataclass
class Kills:
    """How often a study was killed, and how much of it had been acknowledged."""

    at_start: int = 0
    at_work: int = 0
    lines: int = 0

    @property
    def count(self) -> int:
        return self.at_start + self.at_work


def kill_at_random(
    folder: Path, seed: int, num_kills: int, engine: str, *, more_trials: int = 4
) -> tuple[Kills, int]:
    """Kill consecutive drivers of one study and their workers, then finish it.

    Every third instant lies in the five seconds of a start, the others are counted from the
    first thing that a driver acknowledges. A driver that ends too soon gets more trials to do.

    Returns:
        The kills, and how many trials there must be.
    """
    chance = random.Random(seed)  # noqa: S311 - instants, not secrets
    kills, num_trials = Kills(), more_trials
    while kills.count < num_kills:
        options = (*ENGINES[engine], "--trials", num_trials)
        is_early = kills.count % 3 == 0
        before = len(read_ledger(folder))
        with start_driver(folder, "run", "space.yaml", *options) as driver:
            least, seconds = (0, 5) if is_early else (before + 2, 1)
            is_late = not kill_later(folder, driver, least, chance.uniform(0, seconds))
        if is_late:
            assert driver.returncode == 0
            num_trials += more_trials
        elif is_early:
            kills.at_start += 1
        else:
            kills.at_work += 1
    done = go_on(folder, *ENGINES[engine], "--trials", num_trials)
    assert done.returncode == 0, done.stderr
    return kills, num_trials


def wait_for_lines(folder: Path, driver: subprocess.Popen[str], lines: int) -> None:
    """Wait until the ledger has so many lines; a driver that ends or hangs says what it did."""
    end = time.monotonic() + 600
    while len(read_ledger(folder)) < lines:
        if driver.poll() is not None:
            raise AssertionError(f"it ended with {driver.returncode}: {driver.communicate()[1]}")
        if time.monotonic() > end:
            driver.send_signal(signal.SIGUSR1)  # print where all threads are
            time.sleep(1)
            driver.send_signal(signal.SIGABRT)
            raise AssertionError(
                f"it hangs with workers {children(driver.pid)}: {driver.communicate()[1]}"
            )
        time.sleep(0.005)


def kill_later(folder: Path, driver: subprocess.Popen[str], lines: int, seconds: float) -> bool:
    """Kill driver and workers some time after the ledger has so many lines.

    Returns:
        Whether they were killed; False if the driver had ended before.
    """
    while driver.poll() is None and lines and len(read_ledger(folder)) < lines:
        time.sleep(0.005)
    end = time.monotonic() + seconds
    while driver.poll() is None and time.monotonic() < end:
        time.sleep(0.002)
    is_running = driver.poll() is None
    kill_all(driver)
    return is_running
