"""A folder of colour images through the real commands: killed, resumed, confirmed, predicted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import cli_environment, read_until, run_cli, start_cli
from killing import kill_all
from PIL import Image, ImageDraw

CLASSES = ("circle", "square", "stripe")

SPACE = """
name: shapes
dataset: {folder: shapes/, image_size: [12, 12]}
objective: {metric: validation_accuracy, goal: maximize}
parameters:
  num_layers: 2
  layer_size: {choices: [32, 64]}
  learning_rate: {low: 2.0e-3, high: 1.0e-2, log: true}
  epochs: 12
  batch_size: 32
sampler: {type: random, seed: 1}
budget: {trials: 4}
"""


def draw(name: str, generator: np.random.Generator) -> Image.Image:
    image = Image.fromarray(generator.integers(0, 90, (24, 24, 3), np.uint8))
    colour = tuple(generator.integers(160, 256, 3).tolist())
    x, y = generator.integers(2, 8, 2).tolist()
    pen = ImageDraw.Draw(image)
    if name == "circle":
        pen.ellipse((x, y, x + 13, y + 13), fill=colour)
    elif name == "square":
        pen.rectangle((x, y, x + 13, y + 13), fill=colour)
    else:
        pen.line((0, y, 23, y + 3), fill=colour, width=4)
    return image


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    generator = np.random.default_rng(5)
    for name in CLASSES:
        folder = tmp_path / "shapes" / name
        folder.mkdir(parents=True)
        for number in range(80):
            draw(name, generator).save(folder / f"{number:02}.png")
    (tmp_path / "shapes" / "README.txt").write_text("made up")
    (tmp_path / "space.yaml").write_text(SPACE)
    return tmp_path


@pytest.mark.slow
def test_it_goes_through_every_command(shapes, cli):
    assert "colour images of 12 x 12" in cli("check", "space.yaml").stdout
    with start_cli("run", "space.yaml", "--workers", 1, cwd=shapes) as driver:
        read_until(driver.stderr, "[1/4]")
        kill_all(driver)
    done = cli("resume", "shapes")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(cli("show", "shapes", "--json").stdout)["trials"]) == 4
    done = cli("confirm", "shapes", "--top", 2, "--seeds", 2)
    assert done.returncode == 0, done.stderr
    done = cli("report", "shapes", "--out", "report")
    assert done.returncode == 0, done.stderr
    assert "README" not in (shapes / "report" / "report.html").read_text()
    found = json.loads((shapes / "report" / "report.json").read_text())["studies"]["shapes"]
    assert found["best"]["test_accuracy"] is not None
    image = draw("stripe", np.random.default_rng(99))
    image.save(shapes / "new.png")
    (answer,) = json.loads(cli("predict", "shapes", "new.png", "--json").stdout)
    assert answer["class_name"] in CLASSES
    checked = json.loads(cli("doctor", "studies.db", "--json").stdout)
    assert not checked["damaged"]
    assert checked["cache"]["num_entries"] >= 1
    assert checked["cache"]["folder"] == cli_environment()["SWEEP_CACHE_DIR"]


@pytest.mark.slow
def test_changed_images_are_refused(shapes, cli):
    assert cli("run", "space.yaml", "--trials", 1).returncode == 0
    kept, root = shapes / "kept", shapes / "shapes"
    shutil.copytree(root, kept)

    def refused() -> None:
        done = cli("resume", "shapes", "--trials", 2)
        assert (done.returncode, done.stdout) == (2, "")
        assert "the data have changed since study 'shapes' was made" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        shutil.rmtree(root)
        shutil.copytree(kept, root)

    shutil.copy(root / "circle" / "00.png", root / "circle" / "new.png")
    refused()
    (root / "circle" / "00.png").unlink()
    refused()
    shutil.copy(root / "square" / "00.png", root / "circle" / "00.png")
    refused()
    assert cli("resume", "shapes", "--trials", 2).returncode == 0


@pytest.mark.slow
def test_a_change_in_the_test_folder_is_refused(shapes, cli):
    root = shapes / "shapes"
    for name in CLASSES:
        (root / "train").mkdir(exist_ok=True)
        shutil.copytree(root / name, root / "test" / name)
        shutil.move(root / name, root / "train" / name)
    assert run_cli("run", "space.yaml", "--trials", 1, cwd=shapes).returncode == 0
    draw("square", np.random.default_rng(7)).save(root / "test" / "square" / "00.png")
    done = cli("resume", "shapes", "--trials", 2)
    assert done.returncode == 2
    assert "the data have changed since study 'shapes' was made" in done.stderr


@pytest.mark.slow
def test_a_folder_that_cannot_be_used_is_one_line_and_leaves_nothing(shapes, cli):
    (shapes / "shapes" / "circle" / "bad.png").write_bytes(b"not an image")
    done = cli("run", "space.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "bad.png': it is none of BMP" in line
    assert not list(shapes.glob("studies*"))
