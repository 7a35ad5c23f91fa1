"""Proves on a GPU what no other machine can show, in less than nine minutes.

    make gpu-proof      or, in bench/: python -m gpu_proof [--list] [--again PART ...]

Needs a CUDA GPU and nothing else: without MNIST in the data directory it makes images up. Each part
runs in a process of its own, within a time limit. Results are written after each part; a second run
skips parts that are done for the same code, device and versions. Ends with 1 if a part failed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.processes import leave_on_signals

from gpu_proof.images import find_or_make
from gpu_proof.keeping import Results, describe
from gpu_proof.parts import PARTS, Part
from gpu_proof.proving import prove
from sweep.data import default_data_dir

OUT = Path(__file__).parents[2] / "out" / "gpu-proof"


def parse_arguments(given: Sequence[str] | None, parts: Sequence[Part]) -> argparse.Namespace:
    names = [part.name for part in parts]
    parser = argparse.ArgumentParser(
        prog="python -m gpu_proof", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument("--list", action="store_true", help="list the parts and end")
    parser.add_argument("--again", nargs="+", choices=names, default=[], help="run these again")
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="run only these")
    parser.add_argument("--data-dir", type=Path, default=default_data_dir())
    parser.add_argument("--out", type=Path, default=OUT, help="default: out/gpu-proof")
    # For trying the parts themselves, on any machine.
    parser.add_argument("--device", default="cuda:0", help=argparse.SUPPRESS)
    parser.add_argument("--small", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None, parts: Sequence[Part] = PARTS) -> int:
    arguments = parse_arguments(given, parts)
    if arguments.list:
        for part in parts:
            print(f"{part.name:10}{part.seconds:4} s  {part.meaning}")
        return 0
    if arguments.device != "cpu":
        require_gpu()
    leave_on_signals()
    with tempfile.TemporaryDirectory(prefix="gpu-proof-") as made_up:
        data_dir, images = find_or_make(arguments.data_dir.resolve(), Path(made_up))
        about = describe(arguments.device, small=arguments.small, images=images)
        results = Results(arguments.out.resolve(), about)
        for part in parts:
            if part.name in arguments.only:
                run(part, results, arguments, data_dir)
    print(f"\n{results.table.read_text()}\n{results.table}\n{results.json}")
    return 1 if results.failed else 0


def run(part: Part, results: Results, arguments: argparse.Namespace, data_dir: Path) -> None:
    """Prove a part unless that was done before."""
    done = results.parts.get(part.name)
    if done is not None and part.name not in arguments.again:
        print(f"{part.name}: done before, {done['verdict']}", flush=True)
        return
    found = prove(
        part, results.folder, device=arguments.device, small=arguments.small, data_dir=data_dir
    )
    results.add(part, found)
    print(f"{part.name}: {found['verdict']}, {found['words']}", flush=True)


def require_gpu() -> None:
    import torch

    if not torch.cuda.is_available():
        sys.exit("gpu_proof: PyTorch finds no CUDA GPU here, and without one nothing can be proved")


if __name__ == "__main__":
    sys.exit(main())
