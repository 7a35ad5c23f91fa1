"""Test accuracy of a confirmed sweep on two tables, beside scikit-learn on the same rows.

    python bench/tables.py --data-dir DIR [--splits 5] [--top 3] [--seeds 3] [--tables adult letter]

DIR holds letter.csv and adult.csv (see `search_spaces/`). For each split (`split_seed` 0, 1, ...)
the search space is run, and its best configurations are confirmed on fresh seeds; the figure is the
mean test accuracy of the winner's runs. scikit-learn's classifiers get the same encoded rows: at
their defaults and lightly tuned (the best of a small grid on the same validation split), fitted to
the training split alone like the sweep's networks; and tuned and fitted again to training and
validation rows together, which the sweep does not do. Splits that the JSON file already has are not
measured again: the same command continues.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the grids run in parallel, a process for each fit

import numpy as np
import yaml
from harness import machine
from joblib import Parallel, delayed
from scipy import stats
from sklearn.base import ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import sweep
from sweep.data import Part, data_settings, load_training_data
from sweep.data.sealed import open_test_split
from sweep.space import load_space
from sweep.store import Store

REPOSITORY = Path(__file__).parents[1]
OUT = REPOSITORY / "out" / "tables.json"
SWEEP = "sweep, confirmed"

CLASSIFIERS: dict[str, tuple[Callable[..., ClassifierMixin], Mapping[str, Sequence[Any]]]] = {
    "MLPClassifier": (
        MLPClassifier,
        {"hidden_layer_sizes": [(100,), (256, 256)], "early_stopping": [True]},
    ),
    "RandomForestClassifier": (
        RandomForestClassifier,
        {"n_estimators": [300], "min_samples_leaf": [1, 3]},
    ),
    "HistGradientBoostingClassifier": (
        HistGradientBoostingClassifier,
        {"max_iter": [300], "learning_rate": [0.05, 0.1]},
    ),
}


def run_sweep(space: dict[str, Any], data_dir: Path, top: int, seeds: int) -> float:
    """Mean test accuracy of the configuration that a confirmed sweep chooses."""
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        storage = f"sqlite:///{folder}/studies.db"
        study = sweep.run(space, storage=storage, data_dir=data_dir)
        confirmed = sweep.confirm(
            study.name, top=top, seeds=seeds, storage=storage, data_dir=data_dir
        )
        readings = Store(storage, to_write=False).read_study(confirmed.study).test_readings
    return statistics.mean(each.num_correct / each.num_images for each in readings)


def fit(make: Callable[..., ClassifierMixin], options: dict[str, Any], part: Part) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 200 epochs are the default
        return make(random_state=0, **options).fit(part.inputs, part.labels)


def run_scikit_learn(space: dict[str, Any], data_dir: Path) -> dict[str, float]:
    """Test accuracy of each classifier: at defaults, tuned, and tuned and fitted to more rows."""
    settings = data_settings(load_space(space).dataset, data_dir)
    data = load_training_data(settings)
    test = data.encoded(open_test_split(settings))
    both = Part(
        np.concatenate([data.train.inputs, data.validation.inputs]),
        np.concatenate([data.train.labels, data.validation.labels]),
    )
    plans = {
        name: [
            {},
            *(dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())),
        ]
        for name, (_, grid) in CLASSIFIERS.items()
    }
    jobs = [(name, options) for name, plan in plans.items() for options in plan]
    fitted = Parallel(n_jobs=machine.num_cores())(
        delayed(fit)(CLASSIFIERS[name][0], options, data.train) for name, options in jobs
    )
    found: dict[str, float] = {}
    for name in CLASSIFIERS:
        default, *tuned = (
            (model, options)
            for (owner, options), model in zip(jobs, fitted, strict=True)
            if owner == name
        )
        best, options = max(
            [default, *tuned],
            key=lambda pair: pair[0].score(data.validation.inputs, data.validation.labels),
        )
        again = fit(CLASSIFIERS[name][0], options, both)
        for how, model in (("defaults", default[0]), ("tuned", best), ("tuned, refitted", again)):
            found[f"{name}, {how}"] = float(model.score(test.inputs, test.labels))
        print(f"  {name}: chose {options or 'the defaults'}", flush=True)
    return found


def measure(table: str, split_seed: int, arguments: argparse.Namespace) -> dict[str, float]:
    space = yaml.safe_load((REPOSITORY / "search_spaces" / f"{table}.yaml").read_text())
    space["dataset"]["split_seed"] = split_seed
    started = time.perf_counter()
    found = {SWEEP: run_sweep(space, arguments.data_dir, arguments.top, arguments.seeds)}
    minutes = (time.perf_counter() - started) / 60
    print(f"{table}, split {split_seed}: {found[SWEEP]:.2%} in {minutes:.1f} minutes", flush=True)
    started = time.perf_counter()
    found |= run_scikit_learn(space, arguments.data_dir)
    minutes = (time.perf_counter() - started) / 60
    print(f"{table}, split {split_seed}: scikit-learn in {minutes:.1f} minutes", flush=True)
    return found


def summary(accuracies: Sequence[Mapping[str, float]]) -> str:
    """A Markdown table: the mean accuracies, and the paired differences from the sweep."""
    lines = ["| | test accuracy | sweep minus it, points | 95 % interval |", "|---|---|---|---|"]
    for name in sorted(accuracies[0], key=lambda n: -statistics.mean(a[n] for a in accuracies)):
        mean = statistics.mean(each[name] for each in accuracies)
        apart = [100 * (each[SWEEP] - each[name]) for each in accuracies]
        difference = interval = ""
        if name != SWEEP:
            difference = f"{statistics.mean(apart):+.2f}"
            if len(apart) > 1:
                low, high = stats.ttest_1samp(apart, 0).confidence_interval(0.95)
                interval = f"{low:+.2f} to {high:+.2f}"
        lines.append(f"| {name} | {mean:.2%} | {difference} | {interval} |")
    return "\n".join(lines)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--tables", nargs="+", default=["adult", "letter"])
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--top", type=int, default=3, help="candidates that are confirmed")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each candidate")
    parser.add_argument("--out", type=Path, default=OUT, help="default: out/tables.json")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    found: dict[str, dict[str, dict[str, float]]] = {}
    if arguments.out.exists():
        found = json.loads(arguments.out.read_text())["test_accuracies"]
    for split_seed, table in itertools.product(range(arguments.splits), arguments.tables):
        of_table = found.setdefault(table, {})
        if str(split_seed) not in of_table:
            of_table[str(split_seed)] = measure(table, split_seed, arguments)
            machine.write_result(
                arguments.out,
                confirmed={"top": arguments.top, "seeds": arguments.seeds},
                test_accuracies=found,
            )
    for table, of_table in found.items():
        print(f"\n{table}, {len(of_table)} splits\n\n{summary(list(of_table.values()))}")


if __name__ == "__main__":
    main()
