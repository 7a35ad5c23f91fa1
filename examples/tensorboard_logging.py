"""Write every epoch of every trial to TensorBoard, with a page that compares hyperparameters.

After `pip install tensorboard` and `python tensorboard_logging.py logs`, the command
`tensorboard --logdir logs` shows it.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

import sweep

SPACE = {
    "name": "tensorboard",
    "dataset": "digits",
    "parameters": {
        "num_layers": {"low": 1, "high": 3},
        "layer_size": {"choices": [32, 64, 128]},
        "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "epochs": 10,
    },
    "pruner": "median",
    "budget": {"trials": 8},
}
METRIC = "validation_accuracy"


class TensorBoard:
    """What `on_event` calls: one TensorBoard run for each trial."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[int, SummaryWriter] = {}
        self._written: dict[int, int] = {}  # epochs of each trial
        self._params: dict[int, dict[str, int | float | str]] = {}

    def __call__(self, event: object) -> None:
        match event:
            case sweep.TrialStarted(config) if config.number not in self._writers:
                # What an earlier run of this script wrote for the trial is hidden.
                folder = self._folder / f"trial-{config.number:03}"
                self._writers[config.number] = SummaryWriter(folder, purge_step=0)
                self._written[config.number] = 0
                self._params[config.number] = {n: config.params[n] for n in SPACE["parameters"]}
            case sweep.Epoch(metrics):
                self._write(metrics)
            case sweep.Resumed(_, history):
                self._write(history)
            case sweep.TrialOutcome(trial, state) if trial in self._writers:
                self._write(event.history)
                best = {f"best/{METRIC}": event.best.values[METRIC]} if event.best else {}
                params = self._params[trial] | {"state": str(state)}
                # Not `add_hparams`: it writes a second file, which may be read before the first.
                for summary in hparams(params, best):
                    self._writers[trial].file_writer.add_summary(summary)
                for name, value in best.items():
                    self._writers[trial].add_scalar(name, value)
                self._writers[trial].close()

    def _write(self, metrics: Iterable) -> None:
        """Write the epochs that are new: a trial that starts again repeats some."""
        for each in metrics:
            if each.epoch > self._written[each.trial]:
                for name, value in each.values.items():
                    self._writers[each.trial].add_scalar(name, value, each.epoch)
                self._written[each.trial] = each.epoch


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("logs"))
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    print(sweep.run(SPACE, storage=folder / "studies.db", on_event=TensorBoard(folder)))
