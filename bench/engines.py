"""Trial-epochs per second: this project, the usual loop, scikit-learn, Keras 3, Ray Tune.

    make bench          or: python bench/engines.py --data-dir DIR [--quick]

All contestants train the same network on the same data: three hidden layers with ReLU, 50,000 MNIST
images, batches of 128, AdamW with a learning rate of 1e-3 and a weight decay of 0.01 (notes list
the exceptions), the same number of epochs, no validation. Each runs in its own processes, all are
prepared before the first is measured, and repeats are interleaved. Bare matrix products of the same
shapes are the ceiling. `bench/README.md` explains the table. Run it on an idle machine: on a busy
one, several threads wait for the slowest of them at every product and look many times slower.
"""

from __future__ import annotations

import argparse
import json
import sys
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
from sweep.provenance import package_versions

OUT = Path(__file__).parents[1] / "out" / "bench.json"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=default_data_dir())
    parser.add_argument("--contestants", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 512])
    parser.add_argument("--epochs", type=int, default=1, help="per trial (default: 1)")
    parser.add_argument("--repeats", type=int, default=5, help="of each measurement (default: 5)")
    parser.add_argument(
        "--quick", action="store_true", help="one repeat of one epoch, overriding the above"
    )
    parser.add_argument("--out", type=Path, default=OUT, help="JSON file (default: out/bench.json)")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.repeats = arguments.epochs = 1
    return arguments


def main() -> None:
    arguments = parse_arguments()
    leave_on_signals()
    load = machine.load_words()
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
                machine.write_result(
                    arguments.out,
                    versions=versions,
                    load=load,
                    epochs=arguments.epochs,
                    repeats=arguments.repeats,
                    widths=widths,
                )
    except DataError as error:
        sys.exit(f"engines.py: {error}")
    print(f"\n{load}\n{json.dumps(machine.hardware())}\n{json.dumps(versions)}")
    print(f"written to {arguments.out}")


def print_table(width: int, gflop: float, table: list[tables.Row]) -> None:
    print(f"\nThree hidden layers of {width}, trial-epochs per second; P processes x T threads x K")
    print(f"lanes; an epoch of a trial is {gflop:.1f} GFLOP of matrix products.\n")
    print(tables.text(table), flush=True)


if __name__ == "__main__":
    main()
