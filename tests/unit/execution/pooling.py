"""A pool over workers that train in line, driven as a runner drives it."""

from __future__ import annotations

from driving import go_on
from helpers import make_settings

from sweep.data import TrainingData
from sweep.execution import InlineLauncher, Pool
from sweep.execution.worker import Worker
from sweep.records import Checkpoint, Epoch, Lost, Notice, Resumed, TrialOutcome
from sweep.training import load_engine


class Found:
    """What became of trials that a pool trained."""

    def __init__(self) -> None:
        self.by_number: dict[int, TrialOutcome] = {}
        self.notices: list[str] = []
        self.lost: list[Lost] = []
        self.resumed: dict[int, int] = {}  # epochs that had been finished, at the last time
        self.epochs: list[tuple[int, int]] = []
        self.outcomes: list[TrialOutcome] = []


def inline(data: TrainingData, build=None, memory_bytes: int | None = None, **changes):
    """A launcher that trains in line, on these data and with these groups."""

    def load(settings, send) -> Worker:
        engine = load_engine(settings, data)
        if build is not None:
            engine._build = build
        engine.memory_bytes = memory_bytes
        return Worker(engine, send)

    return InlineLauncher(load=load)


def drive(
    launcher, *configs, answer=go_on, checkpoints=None, lanes: int = 8, count: int = 1, **options
) -> Found:
    """Train these as a runner does: what is lost is submitted again, from its checkpoint."""
    found = Found()
    settings = make_settings(engine="stacked", lanes=lanes, precision="float64")
    by_number = {config.number: config for config in configs}
    checkpoints = dict(checkpoints or {})
    waiting = list(configs)
    with Pool(launcher, settings, count, **options) as pool:
        pool.start()
        for number, checkpoint in checkpoints.items():
            waiting.remove(by_number[number])
            pool.resubmit(by_number[number], lambda known=checkpoint: known)
        while len(found.by_number) < len(configs):
            while waiting and pool.has_room:
                pool.submit(waiting.pop(0))
            pool.flush()
            for message in pool.messages(1):
                match message:
                    case Epoch(metrics):
                        found.epochs += [(m.trial, m.epoch) for m in metrics]
                        pool.decide(metrics, [answer(m) for m in metrics])
                    case Resumed(trial, history):
                        found.resumed[trial] = len(history)
                        pool.decide(history[-1:], [answer(m) for m in history[-1:]])
                    case Checkpoint():
                        checkpoints[message.trial] = message
                    case Notice(text):
                        found.notices.append(text)
                    case TrialOutcome():
                        assert message.trial not in found.by_number, "a trial ends once"
                        found.by_number[message.trial] = message
                    case Lost(is_over=False):
                        found.lost.append(message)
                        known = checkpoints.get(message.trial)
                        pool.resubmit(
                            by_number[message.trial], lambda known=known: known, message.failures
                        )
    found.outcomes = [found.by_number[config.number] for config in configs]
    return found
