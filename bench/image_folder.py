"""How long a folder of 60,000 small JPEGs takes to be read, for the first and the second time.

    python bench/image_folder.py --data-dir DIR [--images 60000] [--repeats 3]

The images are MNIST's training pool. Each reading is a process of its own, as a worker is; "cpu" is
its user and system time. The first starts with an empty cache.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from harness import machine
from PIL import Image

from sweep.data import load_training_data
from sweep.records import DataSettings

READ = """
import sys
from sweep.data import load_training_data
from sweep.records import DataSettings
load_training_data(DataSettings("folder", "photos", sys.argv[1]))
"""


def make_folder(folder: Path, data_dir: Path, number: int) -> None:
    data = load_training_data(DataSettings("builtin", "mnist", str(data_dir)))
    images = np.concatenate([data.train.inputs, data.validation.inputs])[:number, 0]
    labels = np.concatenate([data.train.labels, data.validation.labels])[:number]
    for name in map(str, range(10)):
        (folder / name).mkdir(parents=True)
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image).save(folder / str(label) / f"{index:05}.jpg", quality=90)


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def read(folder: Path, cache: Path) -> tuple[float, float]:
    """Wall and processor seconds of one reading, imports included."""
    started, used = time.perf_counter(), cpu_seconds()
    environment = {**os.environ, "SWEEP_CACHE_DIR": str(cache)}
    subprocess.run([sys.executable, "-c", READ, str(folder)], env=environment, check=True)
    return time.perf_counter() - started, cpu_seconds() - used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with MNIST")
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(machine.load_words())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "photos"
        make_folder(folder, arguments.data_dir, arguments.images)
        time.sleep(3)  # files that changed just now are not trusted to be unchanged
        for repeat in range(arguments.repeats):
            cache = Path(temporary) / f"cache-{repeat}"
            for name in ("first", "second"):
                wall, cpu = read(folder, cache)
                print(f"{name:6}  {wall:6.2f} s  cpu {cpu:6.2f} s")


if __name__ == "__main__":
    main()
