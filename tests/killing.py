"""Kill drivers, and check what must be true of their study afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from helpers import children, cli_environment, command, sqlite_url, timeless, wait_for, workers
from zygote import ForkedProcess, fork

from sweep.records import StudyRecord, StudyState, TrialState
from sweep.store import Store

# Checkpoints every epoch or two: the more is written, the more can go wrong.
_WORK = ("--workers", 1, "--device", "cpu", "--checkpoint-every", "0.01")
ENGINES = {
    "sequential": (*_WORK, "--engine", "sequential"),
    "stacked": (*_WORK, "--engine", "stacked", "--lanes", 4),
}
PARAMETERS = {
    "num_layers": {"low": 1, "high": 3},
    "layer_size": {"choices": [16, 32, 64]},
    "learning_rate": {"low": 1e-3, "high": 1e-2, "log": True},
    "epochs": 6,
    "dropout": 0.1,
    "batch_size": 64,
}
TRIALS = 5


def small_space(num_trials: int, **changes: Any) -> dict[str, Any]:
    """A search space with everything that has state: a learning sampler, a pruner, dropout."""
    return {
        "name": "small",
        "dataset": "digits",
        "parameters": PARAMETERS,
        "sampler": {"type": "gp", "seed": 3, "n_startup_trials": 2},
        "pruner": {"type": "median", "n_startup_trials": 1, "n_warmup_steps": 2},
        "budget": {"trials": num_trials},
        **changes,
    }


def prepare(folder: Path, space: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "space.yaml").write_text(json.dumps(space))
    return folder


@dataclass(frozen=True)
class Accident:
    """What happens to a driver before or after the n-th call of a named function (a point)."""

    point: str
    when: str = "before"
    call: int = 1
    action: str = "kill"
    held: str = ""
    until: str = ""


def start_driver(
    folder: Path,
    *arguments: object,
    accidents: tuple[Accident, ...] = (),
    inside: int | None = None,
    **plan: Any,
) -> ForkedProcess:
    """Start the command line with a ledger and accidents, in a folder with a `space.yaml`.

    Args:
        folder: The working directory.
        arguments: Of the command line.
        accidents: What goes wrong.
        inside: A process whose file systems it shares.
        plan: More instructions for `ledger_driver`.
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
    return fork("ledger", [str(file)], cwd=folder, environment=cli_environment(), inside=inside)


class Interpreter(subprocess.Popen[str]):
    """A Python process that a failed test does not wait for."""

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, value, traceback)


def start_interpreter(
    *arguments: object, cwd: Path, program: Sequence[str] | None = None, **options: Any
) -> Interpreter:
    """Start the command line, or another program, in a fresh interpreter."""
    given: dict[str, Any] = {
        "cwd": cwd,
        "env": cli_environment(),
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }
    line = [*program, *map(str, arguments)] if program else command(*arguments)
    return Interpreter(line, **{**given, **options})


def go_on(
    folder: Path,
    *options: object,
    accidents: tuple[Accident, ...] = (),
    timeout: float = 600,
    **plan: Any,
) -> subprocess.CompletedProcess[str]:
    """Run `sweep run` until it ends in any way; it creates or continues the study."""
    arguments = ("run", "space.yaml", *options)
    with start_driver(folder, *arguments, accidents=accidents, **plan) as driver:
        try:
            output, errors = driver.communicate(timeout=timeout)
        except BaseException:
            kill_all(driver)
            raise
    return subprocess.CompletedProcess(driver.args, driver.returncode, output, errors)


def disturb(
    folder: Path,
    happen: Callable[[ForkedProcess], None],
    *arguments: object,
    point: str = "decide",
    call: int = 1,
    accidents: tuple[Accident, ...] = (),
) -> subprocess.CompletedProcess[str]:
    """Let this happen to a driver that waits before a call of a named function; then it goes on.

    With `decide`, its workers wait, too, at the end of the next epoch at the latest: no study ends
    before it happens, however busy the machine is.
    """
    held, until = folder / "held", folder / "until"
    for file in (held, until):
        file.unlink(missing_ok=True)
    hold = Accident(point, call=call, action="hold", held=str(held), until=str(until))
    with start_driver(folder, *arguments, accidents=(hold, *accidents)) as driver:
        try:
            wait_for(lambda: held.exists() or driver.poll() is not None)
            assert driver.poll() is None, driver.communicate()[1]
            happen(driver)
            until.touch()
            output, errors = driver.communicate()
        except BaseException:
            kill_all(driver)
            raise
    assert driver.returncode is not None
    return subprocess.CompletedProcess(driver.args, driver.returncode, output, errors)


def kill_through(
    folder: Path, accidents: Sequence[Accident], engine: str, *options: object, **plan: Any
) -> None:
    """Run one driver of a study per accident, which kills it and its workers."""
    for accident in accidents:
        killed = go_on(folder, *ENGINES[engine], *options, accidents=(accident,), **plan)
        assert killed.returncode == -signal.SIGKILL, f"never came to {accident}: {killed.stderr}"


def finish(
    folder: Path, engine: str, *options: object, **plan: Any
) -> subprocess.CompletedProcess[str]:
    """Run `sweep run` until the study has finished."""
    done = go_on(folder, *ENGINES[engine], *options, **plan)
    assert done.returncode == 0, done.stderr
    return done


def undisturbed_study(folder: Path, space: dict[str, Any], **plan: Any) -> Path:
    """A study without accidents."""
    finish(prepare(folder, space), "sequential", **plan)
    return folder


def kill_all(driver: ForkedProcess) -> None:
    """Kill a driver and its workers at the same instant: none sees another die."""
    if driver.poll() is None:
        driver.send_signal(signal.SIGSTOP)
        for process in children(driver.pid, recursive=True):
            with contextlib.suppress(ProcessLookupError):  # it may have ended already
                os.kill(process, signal.SIGKILL)
        driver.kill()
    driver.communicate()


def processes_in(folder: Path) -> list[str]:
    """Processes whose working directory is this folder or one inside it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            place = Path(process.cwd())
            if place == folder.resolve() or folder.resolve() in place.parents:
                found.append(f"{process.pid}: {process.cmdline()}")
    return found


def check_gone(folder: Path) -> None:
    """No process outlives its command."""
    wait_for(lambda: not processes_in(folder), patience=60)


# ------------------------------------------------------------ checks


def read_ledger(folder: Path) -> list[dict[str, Any]]:
    path = folder / "ledger.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def read_study(folder: Path, name: str = "small") -> StudyRecord:
    return Store(sqlite_url(folder), to_write=False).read_study(name)


def what_happened(folder: Path) -> list[Any]:
    """Everything about every trial except times."""
    return [
        (t.params, t.state, t.reports, t.audited, t.copy_of, t.study_epochs, timeless(t.outcome))
        for t in read_study(folder).trials
    ]


def weights(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.safetensors")}


def check_same(folder: Path, undisturbed: Path) -> None:
    """Configurations, histories, states, outcomes, weights and best trial are the same."""
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
    """Every line of the ledger is in the study with the same value; returns how many there are.

    Only in the sequential engine does an epoch that is trained again give the same value to the
    last bit. The first report counts.
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
            case "paused":
                assert trial not in finished, f"trial {trial} was paused after it had ended"
                assert line["epoch"] in study.trials[trial].reports
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
        given = {key: found[0]["params"][key] for key in study.trials[trial].params}
        assert study.trials[trial].params == given
    return len(lines)


def check_trained_once(folder: Path) -> None:
    """No epoch is trained again that the checkpoint has from which its trial went on.

    A checkpoint is on disk before the epochs that were heard together with it are acknowledged: its
    line may stand before theirs. So what counts is what was saved when a trial began or, if its
    worker was lost under one driver, when the epoch before was acknowledged.
    """
    saved: dict[int, int] = defaultdict(int)
    begun_from: dict[int, int] = defaultdict(int)
    last: dict[int, tuple[int, int]] = {}  # the last epoch, and what was saved by then
    seen = set()
    for line in read_ledger(folder):
        trial, epoch = line["trial"], line.get("epoch")
        if line["kind"] == "started":
            begun_from[trial] = saved[trial]
            last.pop(trial, None)
        elif line["kind"] == "saved":
            saved[trial] = epoch
        elif line["kind"] == "epoch":
            if trial in last and epoch <= last[trial][0]:
                begun_from[trial] = last[trial][1]
            again = (trial, epoch) in seen
            assert not again or epoch > begun_from[trial], (
                f"trial {trial} repeats epoch {epoch}, which was saved"
            )
            last[trial] = (epoch, saved[trial])
            seen.add((trial, epoch))


def check_files(folder: Path, study: StudyRecord) -> None:
    """The weights of the best trials are whole; interruptions left no files behind."""
    artifacts = folder / "studies.artifacts" / study.name
    store = Store(sqlite_url(folder), to_write=False)
    kept = {f"trial-{trial.number:05d}.safetensors" for trial in study.ranked()[:10]}
    for trial in study.ranked()[:10]:
        assert store.trials(study.name).read_weights(trial.number), (
            f"weights of {trial.number} are lost"
        )
    left = {file.name for file in artifacts.iterdir()} - kept
    # Weights left by a kill between commit and tidying are deleted with the next outcome.
    assert not {name for name in left if name.startswith(("checkpoint-", "driver.json"))}
    assert not {name for name in left if name.endswith(".tmp")}


def check_whole(
    folder: Path, num_trials: int, *, to_the_last_bit: bool, is_damaged: bool = False
) -> int:
    """All promises for a finished study hold; returns the number of acknowledged lines.

    Where checkpoints were damaged, what they had is trained again.
    """
    check_gone(folder)
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
    if not is_damaged:
        check_trained_once(folder)
    return check_acknowledged(folder, study, to_the_last_bit=to_the_last_bit)


# ------------------------------------------------------------ random instants


@dataclass
class Kills:
    """How often a study was killed, and how many lines it had acknowledged."""

    at_start: int = 0
    at_work: int = 0
    lines: int = 0

    @property
    def count(self) -> int:
        return self.at_start + self.at_work


def kill_at_random(
    folder: Path, seed: int, num_kills: int, engine: str, *, more_trials: int = 4, **plan: Any
) -> tuple[Kills, int]:
    """Kill consecutive drivers of one study with their workers, then finish it.

    Every third instant lies in the first half second, the others in the half second after a
    driver's first acknowledgements. A driver that finishes too soon gets more trials.

    Returns:
        The kills, and the number of trials that there must be.
    """
    chance = random.Random(seed)  # noqa: S311 - no secrets
    kills, num_trials = Kills(), more_trials
    while kills.count < num_kills:
        options = (*ENGINES[engine], "--trials", num_trials)
        is_early = kills.count % 3 == 0
        before = len(read_ledger(folder))
        with start_driver(folder, "run", "space.yaml", *options, **plan) as driver:
            least, seconds = (0, 0.5) if is_early else (before + 2, 0.5)
            errors = kill_later(folder, driver, least, chance.uniform(0, seconds))
        if errors is not None:
            assert driver.returncode == 0, errors
            num_trials += more_trials
        elif is_early:
            kills.at_start += 1
        else:
            kills.at_work += 1
    finish(folder, engine, "--trials", num_trials, **plan)
    return kills, num_trials


def wait_for_lines(folder: Path, driver: ForkedProcess, lines: int) -> None:
    """Wait until the ledger has this many lines; a driver that ends or hangs is an error."""
    end = time.monotonic() + 600
    while len(read_ledger(folder)) < lines:
        if driver.poll() is not None:
            raise AssertionError(f"it ended with {driver.returncode}: {driver.communicate()[1]}")
        if time.monotonic() > end:
            driver.send_signal(signal.SIGUSR1)  # print the stacks of all threads
            time.sleep(1)
            driver.send_signal(signal.SIGABRT)
            raise AssertionError(
                f"it hangs with workers {workers(driver.pid)}: {driver.communicate()[1]}"
            )
        time.sleep(0.005)


def kill_later(folder: Path, driver: ForkedProcess, lines: int, seconds: float) -> str | None:
    """Kill driver and workers this long after the ledger has this many lines.

    Returns:
        The driver's standard error if it ended before; None if it was killed.
    """
    while driver.poll() is None and lines and len(read_ledger(folder)) < lines:
        time.sleep(0.005)
    end = time.monotonic() + seconds
    while driver.poll() is None and time.monotonic() < end:
        time.sleep(0.002)
    if driver.poll() is not None:
        return driver.communicate()[1]
    kill_all(driver)
    return None
