"""Write every trial to MLflow: a run each, with parameters, metrics of every epoch and its end.

After `pip install mlflow` and `python mlflow_logging.py logs`, the command
`mlflow ui --backend-store-uri sqlite:///logs/mlflow.db` shows them.
"""

import argparse
import time
from collections.abc import Iterable
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

import sweep

SPACE = {
    "name": "mlflow",
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
STATUS = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}


class MLflow:
    """What `on_event` calls: one run of an MLflow experiment for each trial."""

    def __init__(self, client: MlflowClient, experiment: str) -> None:
        self._client = client
        self._experiment = experiment
        self._runs: dict[int, str] = {}  # those of trials under way
        self._written: dict[int, int] = {}  # epochs of each trial

    def __call__(self, event: object) -> None:
        match event:
            case sweep.TrialStarted(config) if config.number not in self._runs:
                run = self._client.create_run(
                    self._experiment, run_name=f"trial {config.number}"
                ).info.run_id
                params = [Param(name, str(value)) for name, value in config.params.items()]
                self._client.log_batch(run, params=params)
                self._runs[config.number] = run
                self._written[config.number] = 0
            case sweep.Epoch(metrics):
                self._write(metrics)
            case sweep.Resumed(_, history):
                self._write(history)
            case sweep.TrialOutcome(trial, state) if trial in self._runs:
                self._write(event.history)
                tags = [RunTag("state", str(state)), RunTag("best_epoch", str(event.best_epoch))]
                if event.failure is not None:
                    tags.append(RunTag("failure", event.failure.reason))
                run = self._runs.pop(trial)
                self._client.log_batch(run, tags=tags)
                self._client.set_terminated(run, STATUS[state])

    def close(self) -> None:
        """End the runs of trials that did not end; the next call of this script begins new ones."""
        for run in self._runs.values():
            self._client.set_terminated(run, "KILLED")

    def _write(self, metrics: Iterable) -> None:
        """Write the epochs that are new: a trial that starts again repeats some."""
        now = time.time_ns() // 1_000_000
        for each in metrics:
            if each.epoch > self._written[each.trial]:
                values = [Metric(n, value, now, each.epoch) for n, value in each.values.items()]
                self._client.log_batch(self._runs[each.trial], metrics=values)
                self._written[each.trial] = each.epoch


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("logs"))
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    found = client.get_experiment_by_name(SPACE["name"])
    experiment = client.create_experiment(SPACE["name"]) if found is None else found.experiment_id
    logging = MLflow(client, experiment)
    try:
        print(sweep.run(SPACE, storage=folder / "studies.db", on_event=logging))
    finally:
        logging.close()
