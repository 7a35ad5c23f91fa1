"""kill -9 in the middle of `sweep run`, twice; then the same command to the end.

A trial continues from its last checkpoint: its epochs until then are those of the checkpoint to the
last digit, the seconds that each took included, which training again would change.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence

from gpu_proof import studies
from gpu_proof.findings import Found, Setting, verdict_of
from sweep.errors import SweepError
from sweep.records import EpochMetrics, StudyRecord, TrialState
from sweep.training.checkpoints import unpack

_KILLS = 2
_EPOCHS = 3  # that checkpoints have to gain between two kills
Histories = Mapping[int, Sequence[EpochMetrics]]
"""The epochs in the last checkpoint of each trial that has one."""


def prove(setting: Setting) -> Found:
    """Kill, read the store, continue, compare."""
    trials, epochs = (3 if setting.small else 8), 400
    space = studies.write_space(setting, studies.space(trials, epochs))
    saved: list[Histories] = []
    # Saved so often, it would take minutes to end.
    command = studies.command(setting, space, "--checkpoint-every", 0.2)
    for _ in range(_KILLS):
        wrong = kill_midway(setting, command, saved)
        if wrong:
            return verdict_of(wrong, "")
    wrong = studies.run(setting, space)
    study = studies.read(setting)
    wrong += judge(study, saved, trials)
    num_epochs = sum(len(history) for histories in saved for history in histories.values())
    return verdict_of(
        wrong,
        f"{trials} trials complete after {_KILLS} kills; {num_epochs} epochs in checkpoints kept",
        epochs_in_checkpoints=num_epochs,
    )


def kill_midway(setting: Setting, command: list[str], saved: list[Histories]) -> list[str]:
    """Kill the driver once a checkpoint has gained some epochs over those of the last time."""
    former = {n: len(history) for each in saved for n, history in each.items()}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            found = checkpoints(setting)
            if any(len(history) >= former.get(n, 0) + _EPOCHS for n, history in found.items()):
                break
            time.sleep(0.1)
        else:
            return [f"sweep run ended, with {process.returncode}, before it could be killed"]
    finally:
        process.kill()
        process.wait()
    saved.append(checkpoints(setting))
    return []


def checkpoints(setting: Setting) -> Histories:
    """What the store has at this moment; nothing while it is being made or written."""
    try:
        store = studies.open_store(setting)
        running = [t.number for t in studies.read(setting).trials if t.state is TrialState.RUNNING]
        newest = {n: store.trials(studies.NAME).read_checkpoints(n) for n in running}
    except (SweepError, OSError):
        return {}
    return {n: unpack(c[0].state)[0].history for n, c in newest.items() if c and c[0]}


def judge(study: StudyRecord, saved: Sequence[Histories], trials: int) -> list[str]:
    """What is wrong with the study."""
    wrong = studies.incomplete(study, trials)
    outcomes = {trial.number: trial.outcome for trial in study.trials}
    for histories in saved:
        if not any(histories.values()):
            wrong.append("no checkpoint had an epoch when the command was killed")
        for number, history in histories.items():
            outcome = outcomes.get(number)
            if outcome is None or tuple(outcome.history[: len(history)]) != tuple(history):
                wrong.append(f"trial {number} lost epochs of its checkpoint")
    return wrong
