"""Seconds of `sweep run` with 200 trials of `search_spaces/mnist.yaml`, none pruned."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from gpu_proof import studies
from gpu_proof.findings import Found, Goal, Setting, verdict_of
from sweep.errors import SweepError
from sweep.records import TrialState
from sweep.space import load_space

_SPACE = Path(__file__).parents[2] / "search_spaces" / "mnist.yaml"
_GOAL = 30
_STARTING_SECONDS = 10  # of this process, and left for its verdict


def prove(setting: Setting) -> Found:
    """Run the whole command."""
    space = load_space(_SPACE).to_json()
    trials = 4 if setting.small else 200
    space |= {"name": studies.NAME, "pruner": {"type": "none"}, "budget": {"trials": trials}}
    if setting.small:
        space["dataset"] = "digits"
        space["parameters"] |= {"epochs": 2, "layer_size": 64}
        space["enqueue"] = []
    path = studies.write_space(setting, space)
    started = time.perf_counter()
    # What it did by then is a figure, too.
    wrong = studies.run(setting, path, seconds=setting.seconds - _STARTING_SECONDS)
    seconds = time.perf_counter() - started
    try:
        study = studies.read(setting)
    except SweepError:
        return verdict_of(wrong, "")
    complete = sum(trial.state is TrialState.COMPLETE for trial in study.trials)
    epochs = sum(trial.epochs_run for trial in study.trials)
    words = f"{complete} trials, {epochs} epochs, in {seconds:.1f} s"
    wrong = [f"{each}, but had {words}" for each in wrong] or studies.incomplete(study, trials)
    goal = Goal.below(_GOAL, seconds, "seconds for 200 trials")
    found = verdict_of(wrong, words, seconds=seconds, trials=complete, epochs=epochs)
    return replace(found, goals=[goal])
