"""Trial-epochs per second: this project, the usual loop, scikit-learn, Keras 3, Ray Tune.

    make bench          or: python bench/engines.py --data-dir DIR [--quick]

All contestants train the same network on the same data: three hidden layers with ReLU, 50,000 MNIST
images, batches of 128, AdamW with a learning rate of 1e-3 and a weight decay of 0.01 (notes list
the exceptions), no validation. Each runs in its own processes, all are prepared before the first is
measured, and repeats are interleaved. The ceiling of a step is its bare matrix products in the
better precision, then the optimiser's bytes. `auto` is what this project chooses by itself.
`bench/README.md` explains the table. Run it on an idle machine: on a busy
one, several threads wait for the slowest of them at every product and look many times slower.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from contestants import workload
from contestants.serving import Settings
from harness import machine, tables
from harness.lineup import KINDS, lineup
from harness.mnist import unpacked_mnist
from harness.processes import leave_on_signals
from harness.racing import race
from harness.targets import Target, as_markdown

from sweep.data import default_data_dir
from sweep.errors import DataError
from sweep.provenance import package_versions

OUT = Path(__file__).parents[1] / "out" / "bench" / "engines.json"
# Ray Tune runs the usual loop, and is as fast as that.
USUALLY = [kind for kind in KINDS if kind != "ray-tune"]
WIDE = 256  # from here on, engines and products are measured over a part of an epoch
WIDE_STEPS = 100
QUICK_STEPS = 20
SHARE_OF_CEILING = {64: 0.75, 512: 0.85}
OVER_LIBRARIES = {64: 9.0, 512: 5.0}
SHARE_OF_BEST = 0.95


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=default_data_dir())
    parser.add_argument("--contestants", nargs="+", choices=KINDS, default=USUALLY)
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 512])
    parser.add_argument("--epochs", type=int, default=1, help="per trial (default: 1)")
    parser.add_argument("--repeats", type=int, default=5, help="of each measurement (default: 5)")
    parser.add_argument(
        "--quick", action="store_true", help="one repeat, and of the engines 20 steps"
    )
    parser.add_argument(
        "--out", type=Path, default=OUT, help="JSON file (default: out/bench/engines.json)"
    )
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
    found: list[Target] = []
    try:
        with unpacked_mnist(arguments.data_dir) as data_dir:
            for width in arguments.widths:
                cores = machine.num_cores()
                steps = WIDE_STEPS if width >= WIDE else 0
                settings = Settings(
                    width,
                    arguments.epochs,
                    data_dir,
                    threads=cores,
                    steps=QUICK_STEPS if arguments.quick else steps,
                )
                results = race(lineup(arguments.contestants, settings, cores), arguments.repeats)
                table = tables.rows(results)
                for result in results:
                    versions |= result.versions
                gflop = workload.epoch_flops(width) / 1e9
                aims = targets(width, table)
                widths[str(width)] = {
                    "gflop_per_trial_epoch": gflop,
                    "ceiling": tables.ceiling(results),
                    "rows": tables.to_json(table),
                }
                found += aims
                print_table(width, gflop, table)
                print(as_markdown(aims), flush=True)
                machine.write_result(
                    arguments.out,
                    versions=versions,
                    load=load,
                    epochs=arguments.epochs,
                    repeats=arguments.repeats,
                    widths=widths,
                    targets=[asdict(target) for target in found],
                )
    except DataError as error:
        sys.exit(f"engines.py: {error}")
    print(f"\n{load}\n{json.dumps(machine.hardware())}\n{json.dumps(versions)}")
    print(f"written to {arguments.out}")


def targets(width: int, table: list[tables.Row]) -> list[Target]:
    """The aims for what `auto` chose, where there are any for this width."""
    ours = next((row for row in table if row.result.contestant.kind == "auto"), None)
    if ours is None or width not in SHARE_OF_CEILING:
        return []
    return [
        Target(
            f"share of the ceiling, {width} wide", ours.share_of_ceiling, SHARE_OF_CEILING[width]
        ),
        Target(
            f"x scikit-learn or Keras, {width} wide", ours.times_libraries, OVER_LIBRARIES[width]
        ),
        Target(f"auto over the best by hand, {width} wide", ours.share_of_best, SHARE_OF_BEST),
    ]


def print_table(width: int, gflop: float, table: list[tables.Row]) -> None:
    print(f"\nThree hidden layers of {width}, trial-epochs per second; P processes x T threads x K")
    print(f"lanes; an epoch of a trial is {gflop:.1f} GFLOP of matrix products.\n")
    print(tables.text(table), flush=True)


if __name__ == "__main__":
    main()
