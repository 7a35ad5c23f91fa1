"""Image files → classes by the chosen network; files that are no images are refused."""

from __future__ import annotations

import json
import os
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from helpers import DIGITS, HERE, read_confirmation, space_mapping
from PIL import Image, ImageDraw, ImageFont, ImageOps

import sweep
from sweep.codec import unpack_labels
from sweep.data import load_training_data
from sweep.data.image_file import read_picture
from sweep.errors import InputError, StoreError
from sweep.evaluation import openings
from sweep.evaluation.prediction import _have_other_ground
from sweep.records import candidate_runs, rank_candidates
from sweep.store import Store


@pytest.fixture
def digits(tmp_path: Path) -> list[Path]:
    """Ten validation images as files, twenty times as large, in several formats."""
    data = load_training_data(DIGITS)
    files = []
    for index, (pixels,) in enumerate(data.validation.inputs[:10]):
        grey = Image.fromarray((pixels.astype(float) * 255 / 16).round().astype(np.uint8))
        file = tmp_path / f"{index}.{('png', 'bmp', 'tiff')[index % 3]}"
        grey.resize((160, 160), Image.Resampling.NEAREST).convert(("L", "RGB")[index % 2]).save(
            file
        )
        files.append(file)
    return files


def recorded(storage: str, study: str, trial: int) -> list[str]:
    """What the network said of those images when it was trained."""
    outcome = Store(storage, to_write=False).read_study(study).trials[trial].outcome
    return [str(label) for label in unpack_labels(outcome.validation_predictions, 10)[:10]]


def test_a_search_answers_with_its_best_trial(finished, digits, monkeypatch):
    monkeypatch.setattr(openings, "open_test_split", None)
    best = Store(finished, to_write=False).read_study("small").best.number
    found = sweep.predict("small", digits, storage=finished)
    assert [each.class_name for each in found] == recorded(finished, "small", best)
    assert [each.file for each in found] == [str(file) for file in digits]
    assert {(each.study, each.trial) for each in found} == {("small", best)}
    for each in found:
        assert sum(each.probabilities.values()) == pytest.approx(1)
        assert max(each.probabilities.values()) == each.probability
        assert each.probabilities[each.class_name] == each.probability
    assert Store(finished, to_write=False).read_study("small").test_readings == ()


def test_a_confirmed_search_answers_with_the_winners_best_run(confirmed, digits):
    runs = read_confirmation(confirmed, "small")
    winner, _ = rank_candidates(runs)[0]
    best = max(candidate_runs(runs)[winner], key=lambda run: (runs.value(run), -run.number))
    for study in ("small", "small.confirm"):
        found = sweep.predict(study, digits, storage=confirmed)
        assert {(each.study, each.trial) for each in found} == {("small.confirm", best.number)}
        assert [e.class_name for e in found] == recorded(confirmed, "small.confirm", best.number)


def test_another_trial_can_be_asked(finished, digits):
    for trial in range(3):
        found = sweep.predict("small", digits, storage=finished, trial=trial)
        assert [each.class_name for each in found] == recorded(finished, "small", trial)


def test_one_file_is_enough(finished, digits):
    assert len(sweep.predict("small", digits[0], storage=finished)) == 1


def drawn(path: Path, digit: int, strokes: str, ground: str) -> Path:
    image = Image.new("RGBA", (64, 64), ground)
    ImageDraw.Draw(image).text(
        (32, 32), str(digit), fill=strokes, anchor="mm", font=ImageFont.load_default(60)
    )
    image.save(path)
    return path


@pytest.mark.parametrize(
    ("strokes", "ground", "inverted"),
    [
        ("white", "black", False),
        ("black", "white", True),
        ("#202020", "#e0e0e0", True),
        ("white", "#00000000", False),
        ("black", "#00000000", True),
    ],
)
def test_a_digit_is_recognised_whichever_is_dark_strokes_or_ground(
    finished, tmp_path, strokes, ground, inverted
):
    usual = [drawn(tmp_path / f"usual{n}.png", n, "white", "black") for n in range(10)]
    files = [drawn(tmp_path / f"{n}.png", n, strokes, ground) for n in range(10)]
    expected = sweep.predict("small", usual, storage=finished)
    found = sweep.predict("small", files, storage=finished)
    assert {each.inverted for each in found} == {inverted}
    names = [each.class_name for each in found]
    same = [name == each.class_name for name, each in zip(names, expected, strict=True)]
    assert sum(same) >= (10 if ground != "#e0e0e0" else 8)  # paper is not quite black when inverted
    assert len(set(names)) > 4, "the network tells digits apart"


def test_whether_to_invert_can_be_decided(finished, digits, tmp_path):
    dark = []
    for file in digits[:3]:
        dark.append(tmp_path / f"dark-{file.name}")
        ImageOps.invert(Image.open(file).convert("L")).save(dark[-1])
    expected = sweep.predict("small", digits[:3], storage=finished)
    found = sweep.predict("small", dark, storage=finished)
    assert [e.probabilities for e in found] == [
        pytest.approx(e.probabilities, abs=0.05) for e in expected
    ]
    for invert in (False, True):
        decided = sweep.predict("small", dark, storage=finished, invert=invert)
        assert {each.inverted for each in decided} == {invert}
        assert ([e.probabilities for e in decided] == [e.probabilities for e in found]) is invert


def test_only_a_common_ground_tells_what_is_inverted():
    dark, bright, mixed = np.full(100, 0.1), np.full(100, 0.9), np.linspace(0, 1, 100)
    pictures = np.array([0.0, 0.3, 0.5, 0.7, 1.0])
    assert _have_other_ground(pictures, dark).tolist() == [False] * 3 + [True] * 2
    assert _have_other_ground(pictures, bright).tolist() == [True] * 2 + [False] * 3
    assert not _have_other_ground(pictures, mixed).any()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trial": 3}, "study 'small' has no trial 3; it has 3, numbered from 0"),
        ({"inputs": []}, "inputs must be a path, several, or an array; found \\[\\]"),
        ({"study": "nope"}, "no study 'nope' in"),
    ],
)
def test_what_is_not_there_is_refused(finished, digits, changes, words):
    given = {"study": "small", "inputs": digits, "storage": finished, **changes}
    with pytest.raises(InputError, match=words):
        sweep.predict(**given)


def test_weights_that_are_gone_are_one_line(finished, digits, tmp_path):
    shutil.rmtree(tmp_path / "studies.artifacts")
    with pytest.raises(StoreError, match=r"^the weights of trial \d of study 'small' are gone"):
        sweep.predict("small", digits, storage=finished)


def test_weights_that_were_not_kept_are_not_called_gone(storage, digits, main):
    """Those that were kept for a while are deleted, and no copy of them is to be found."""
    sweep.run(space_mapping(), storage=storage, keep_weights=1, **HERE)
    study = Store(storage, to_write=False).read_study("small")
    assert len(sweep.predict("small", digits, storage=storage, trial=study.best.number)) == 10
    for trial in study.trials:
        text, _ = main(f"show small {trial.number} --storage {storage}", code=0)
        if trial == study.best:
            assert text.endswith("* best epoch, whose weights were kept\n")
            continue
        assert text.endswith("* best epoch\n")
        words = (
            rf"^the weights of trial {trial.number} of study 'small' were not kept: only those of "
            r"the best complete trial are \(--keep-weights\); name one of them$"
        )
        with pytest.raises(StoreError, match=words):
            sweep.predict("small", digits, storage=storage, trial=trial.number)


# ---------------------------------------------------------------- files


def saved(path: Path, image: Image.Image) -> Path:
    image.save(path)
    return path


def test_what_is_transparent_is_black(tmp_path):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[..., :3] = 255
    pixels[:2, :, 3] = 255
    file = saved(tmp_path / "a.png", Image.fromarray(pixels))
    assert read_picture(file, (1, 4, 4)).tolist() == [[[255] * 4] * 2 + [[0] * 4] * 2]


def test_a_picture_is_turned_upright(tmp_path):
    image = Image.fromarray(np.array([[255, 0], [0, 0]], np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    file = tmp_path / "a.png"
    image.save(file, exif=exif)
    assert read_picture(file, (1, 2, 2)).tolist() == [[[0, 0], [0, 255]]]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_colours_become_grey(tmp_path, mode):
    image = Image.new("RGB", (6, 4), "white").convert(mode)
    assert read_picture(saved(tmp_path / "a.tiff", image), (1, 2, 3)).tolist() == [[[255] * 3] * 2]


def test_colours_stay_where_the_data_set_has_them(tmp_path):
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 10
    file = saved(tmp_path / "a.png", Image.fromarray(pixels))
    assert read_picture(file, (3, 2, 3)).tolist() == pixels.transpose(2, 0, 1).tolist()
    grey = saved(tmp_path / "b.png", Image.new("L", (3, 2), 77))
    assert read_picture(grey, (3, 2, 3)).tolist() == [[[77] * 3] * 2] * 3


def bomb(path: Path, width: int, height: int) -> Path:
    """A PNG of a few bytes that promises very many pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(100_000)))
        + chunk(b"IEND", b"")
    )
    return path


def test_files_that_are_no_pictures_are_one_line_each(tmp_path):
    good = saved(tmp_path / "good.png", Image.new("L", (50, 50), "white"))
    whole = good.read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (tmp_path / "page.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (tmp_path / "broken.png").write_bytes(whole[:40] + b"\0" * 20 + whole[60:])
    os.mkfifo(tmp_path / "pipe.png")
    saved(tmp_path / "deep.png", Image.fromarray(np.zeros((3, 3), np.uint16)))
    bomb(tmp_path / "large.png", 10_000, 5_001)
    bomb(tmp_path / "bomb.png", 60_000, 60_000)
    expected = {
        "missing.png": "there is no such file",
        "a" * 5000: "there is no such file",
        "": "it is no plain file",
        "pipe.png": "it is no plain file",
        "text.png": "it is none of BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP",
        "empty.png": "it is none of BMP",
        "drawing.svg": "it is none of BMP",
        "page.eps": "it is none of BMP",
        "cut.png": "",
        "broken.png": "",
        "deep.png": "its pixels have 16 bits; save it as grey or RGB with 8 bits",
        "large.png": "it has more than 50,000,000 pixels; make it smaller",
        "bomb.png": "it has more than 50,000,000 pixels; make it smaller",
    }
    for name, reason in expected.items():
        with pytest.raises(InputError, match=r"^cannot read the image '[^\n]+$") as caught:
            read_picture(tmp_path / name, (1, 8, 8))
        assert reason in str(caught.value)
    assert read_picture(good, (1, 8, 8)).tolist() == [[[255] * 8] * 8]


def test_a_picture_for_which_there_is_no_memory_is_one_line(tmp_path, monkeypatch):
    def full(*_):
        raise MemoryError

    file = saved(tmp_path / "good.png", Image.new("L", (50, 50)))
    monkeypatch.setattr(Image.Image, "convert", full)
    with pytest.raises(InputError, match=r"good.png': there is not enough memory for it$"):
        read_picture(file, (1, 8, 8))


def test_the_command_for_people_and_for_programs(main, finished, digits):
    names = " ".join(file.name for file in digits)
    output, errors = main(f"predict small {names}", code=0)
    best = Store(finished, to_write=False).read_study("small").best.number
    assert errors == f"sweep: network of trial {best} of study small\n"
    rows = [line.split() for line in output.splitlines()]
    assert [row[0] for row in rows] == [file.name for file in digits]
    assert [row[1] for row in rows] == recorded(finished, "small", best)
    data = json.loads(main(f"predict small {names} --json", code=0)[0])
    assert [f"{each['probability']:.2%}" for each in data] == [row[2] for row in rows]

    ImageOps.invert(Image.open(digits[0]).convert("L")).save("dark.png")
    output, _ = main(f"predict small {digits[0].name} dark.png", code=0)
    usual, dark = (line.split() for line in output.splitlines())
    assert (usual[1:2], dark[1:2], usual[3:], dark[3:]) == (dark[1:2], usual[1:2], [], ["inverted"])
    (found,) = json.loads(main("predict small dark.png --json --no-invert", code=0)[0])
    assert found["inverted"] is False

    output, errors = main(f"predict small {names} nope.png", code=2)
    assert output == ""
    assert errors == "sweep: cannot read the image 'nope.png': there is no such file\n"
