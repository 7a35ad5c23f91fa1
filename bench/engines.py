"""Trial-epochs per second: this project, the usual loop, scikit-learn, Keras 3, Ray Tune.

    make bench          or: python bench/engines.py --data-dir DIR [--quick]

Everybody trains the same network on the same data: three hidden layers with ReLU, 50,000 images
of MNIST, batches of 128, AdamW with a learning rate of 1e-3 and a weight decay of 0.01 (what a
contestant does otherwise is in its note), the same number of epochs, no validation. Each runs in
processes of its own, all are prepared before the first is measured, and the repeats are
interleaved. Bare matrix products of the same shapes are the ceiling. `bench/README.md` says how to
read the table. Run it on a machine that does nothing else: on a busy one, whoever uses several
threads waits for the slowest of them at every product and looks many times slower.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from contestants import workload
from contestants.serving import Settings
from harness import machine, tables
from harness.lineup import KINDS, lineup
from harness.mnist import unpacked_mnist
from harness.processes import leave_on_signals
from harness.racing import race

from sweep.data import default_data_dir
from sweep.errors import DataError
from sweep.provenance import package_versions, project_commit

OUT = Path(__file__).parents[1] / "out" / "bench.json"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=default_data_dir())
    parser.add_argument("--contestants", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 512])
    parser.add_argument("--epochs", type=int, default=1, help="of each trial (default: 1)")
    parser.add_argument("--repeats", type=int, default=5, help="of everything (default: 5)")
    parser.add_argument(
        "--quick", action="store_true", help="one repeat of one epoch, whatever else is said"
    )
    parser.add_argument("--out", type=Path, default=OUT, help="JSON file (default: out/bench.json)")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.repeats = arguments.epochs = 1
    return arguments


def main() -> None:
    arguments = parse_arguments()
    leave_on_signals()
    report: dict[str, object] = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": project_commit(),
        "hardware": machine.hardware(),
        "load_average_before": machine.load_average(),
        "epochs": arguments.epochs,
        "repeats": arguments.repeats,
    }
    versions = package_versions()
    widths: dict[str, object] = {}
    try:
        with unpacked_mnist(arguments.data_dir) as data_dir:
            for width in arguments.widths:
                cores = machine.num_cores()
                settings = Settings(width, arguments.epochs, data_dir, threads=cores)
                results = race(lineup(arguments.contestants, settings, cores), arguments.repeats)
                table = tables.rows(results)
                for result in results:
                    versions |= result.versions
                gflop = workload.epoch_flops(width) / 1e9
                widths[str(width)] = {"gflop_per_trial_epoch": gflop, "rows": tables.to_json(table)}
                print_table(width, gflop, table)
                write(arguments.out, report | {"versions": versions, "widths": widths})
    except DataError as error:
        sys.exit(f"engines.py: {error}")
    print(f"\nload average before: {report['load_average_before']}")
    print(f"{json.dumps(report['hardware'])}\n{json.dumps(versions)}\nwritten to {arguments.out}")


def print_table(width: int, gflop: float, table: list[tables.Row]) -> None:
    print(f"\nThree hidden layers of {width}, trial-epochs per second; P processes x T threads x K")
    print(f"lanes; an epoch of a trial is {gflop:.1f} GFLOP of matrix products.\n")
    print(tables.text(table), flush=True)


def write(path: Path, report: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
