"""The arithmetic and the processes of bench/, with contestants that train nothing."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import is_alive, write_idx

sys.path.append(str(Path(__file__).parents[2] / "bench"))

import accuracy
import everything
import harness.lineup
import sweep_time
from contestants import matrix_products, workload
from contestants.serving import Settings
from contestants.this_project import Automatic, choose_automatically
from harness import processes, tables
from harness.lineup import KINDS, lineup
from harness.processes import BENCH, Contestant, ContestantError, Measurement, assembled
from harness.racing import Result, race
from harness.targets import Target, as_markdown

import sweep
from sweep.records import Calibration, Timing, WorkerChoices

SETTINGS = Settings(width=64, epochs=3, data_dir="nowhere", threads=1)

FAKE = """
import sys, time
from contestants.serving import Prepared, serve

def prepare(settings):
    print("a library says something")
    if settings.engine == "unprepared":
        raise OSError("no such data")

    def go():
        if settings.engine == "crashing":
            raise ValueError("too much\\nfor me")
        if settings.engine == "silent":
            time.sleep(60)
        time.sleep(0.05)
        return settings.epochs * settings.lanes

    return Prepared(go, f"trains {settings.width} wide")

serve(prepare, ("numpy",))
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Contestants that run a tiny script."""
    (tmp_path / "fake_contestant.py").write_text(FAKE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def contestant(engine: str = "", *, lanes: int = 1, **changes: object) -> Contestant:
        settings = Settings(64, 3, "nowhere", threads=1, engine=engine, lanes=lanes)
        return Contestant(engine, engine, "fake_contestant", settings, **changes)

    return contestant


def test_every_repeat_of_every_process_is_counted(fake):
    alone, together = race([fake(), fake(lanes=4, processes=2)], repeats=2)
    assert [m.trial_epochs for m in alone.measurements] == [3, 3]
    assert [m.trial_epochs for m in together.measurements] == [24, 24]
    for measured in together.measurements:
        assert len(measured.process_seconds) == 2
        assert measured.seconds >= max(measured.process_seconds) >= 0.05
    assert alone.error is None
    assert alone.note == "trains 64 wide"
    assert alone.versions == {"numpy": np.__version__}


def test_who_fails_is_out_and_the_others_go_on(fake):
    names = ("crashing", "unprepared", "fine")
    missing = fake("missing", package="no_such_package", extra="bench-none")
    results = race([*map(fake, names), missing], repeats=1)
    assert [result.error for result in results] == [
        "ended with exit code 1: for me",
        "ended with exit code 1: OSError: no such data",
        None,
        "not installed: pip install -e '.[bench-none]'",
    ]
    assert [len(result.measurements) for result in results] == [0, 0, 1, 0]


def test_a_silent_contestant_is_given_up_and_ended(fake, monkeypatch):
    with assembled([fake("silent")]) as (team,):
        team.prepare()
        monkeypatch.setattr(processes, "_PATIENCE_SECONDS", 0.2)
        with pytest.raises(ContestantError, match=r"no answer within 0\.2 s"):
            team.go()
        (process,) = (process._process for process in team._processes)
    assert not is_alive(process.pid)


def test_no_process_is_left(fake):
    def interrupted() -> None:
        with assembled([fake(processes=2)]) as (team,):
            team.prepare()
            found.extend(process._process.pid for process in team._processes)
            raise KeyboardInterrupt

    found: list[int] = []
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        interrupted()
    assert len(found) == 2
    assert not any(map(is_alive, found))


def test_products_of_a_step_are_those_of_the_network():
    # 784-64-64-64-10, batches of 128, two operations for each weight and image: forward and for
    # the weights' gradients all four layers, for the inputs' gradients all but the first.
    weights = 784 * 64 + 64 * 64 + 64 * 64 + 64 * 10
    flops = 2 * 128 * (3 * weights - 784 * 64)
    products = workload.step_products(64, lanes=1)
    assert sum(product.flops for product in products) == flops
    assert len(products) == 3 * 4 - 1
    assert workload.epoch_flops(64) == 391 * flops
    stacked = workload.step_products(64, lanes=16)
    assert sum(product.flops for product in stacked) == 16 * flops
    first = stacked[0]
    assert (first.count, first.rows, first.inner, first.columns) == (1, 128, 784, 16 * 64)
    assert {product.count for product in stacked[2:]} == {16}


@pytest.mark.parametrize("lanes", [1, 3])
def test_bare_products_have_the_shapes_that_they_say(lanes):
    for product in workload.step_products(8, lanes):
        result = matrix_products.build_product(product, torch.float32)()
        shape = (product.rows, product.columns)
        assert result.shape == (shape if product.count == 1 else (product.count, *shape))
        assert result.isfinite().all()


def test_arrays_are_the_first_images_of_the_pool(tmp_path, monkeypatch):
    monkeypatch.setattr(workload, "NUM_IMAGES", 2)
    raw = tmp_path / "MNIST" / "raw"
    write_idx(raw / "train-images-idx3-ubyte", np.arange(3 * 784).reshape(3, 28, 28) % 256)
    write_idx(raw / "train-labels-idx1-ubyte", np.array([7, 2, 1]))
    pixels, labels = workload.training_arrays(str(tmp_path))
    assert (pixels.shape, pixels.dtype, labels.tolist()) == ((2, 784), np.float32, [7, 2])
    assert pixels[0, 255] == pytest.approx((1 - 0.1307) / 0.3081)


def result(
    kind: str,
    *seconds: float,
    precision: str = "float32",
    processes: int = 1,
    error: str | None = None,
):
    settings = Settings(64, 1, "nowhere", threads=1, precision=precision)
    measured = [Measurement(2, each, (each,)) for each in seconds]
    contestant = Contestant(kind, kind, "none", settings, processes)
    return Result(contestant, measured, error=error)


RESULTS = [
    result("usual-loop", 20.0, 10.0, 40.0),
    result("usual-loop", 8.0, 16.0, 10.0),
    result("scikit-learn", 4.0),
    result("keras", error="not installed: pip install -e '.[bench]'"),
    result("this-project", 1.0, 0.5, 2.0),
    result("this-project", 0.5, precision="bfloat16"),
    result("matrix-products", 0.25),
    result("matrix-products", 0.4),
    result("matrix-products", 0.1, precision="bfloat16"),
    result("scikit-learn", 1.0, processes=2),
    result("optimizer-bytes", 0.4),
    result("auto", 1.0),
]


def test_ratios_are_of_medians_and_against_the_fastest():
    table = tables.rows(RESULTS)
    assert [row.rate and row.rate.median for row in table] == pytest.approx(
        [0.1, 0.2, 0.5, None, 2, 4, 8, 5, 20, 2, 5, 2]
    )
    ours = table[4]
    assert (ours.rate.low, ours.rate.high) == (1, 4)
    assert ours.times_usual == pytest.approx(10)
    assert ours.times_libraries == pytest.approx(4)
    assert ours.share_of_best == pytest.approx(2 / 4)
    assert table[-1].share_of_best == pytest.approx(2 / 4)
    assert table[0].times_usual == pytest.approx(0.5)


def test_the_ceiling_is_the_fastest_products_and_then_the_bytes():
    # 1/20 s of products in bfloat16, then 1/5 s of bytes.
    assert tables.ceiling(RESULTS) == pytest.approx(4)
    assert tables.rows(RESULTS)[4].share_of_ceiling == pytest.approx(2 / 4)
    assert tables.ceiling(RESULTS[:-2]) is None


def test_bytes_of_the_optimiser_count_every_weight_and_bias_seven_times():
    numbers = 785 * 64 + 65 * 64 + 65 * 64 + 65 * 10
    assert workload.optimizer_bytes(64) == 28 * numbers


@pytest.mark.parametrize(
    ("found", "at_least", "verdict"),
    [(0.75, True, "met"), (0.74, True, "**missed**"), (0.75, False, "met"),
     (0.76, False, "**missed**"), (None, True, "not measured")],
)  # fmt: skip
def test_a_target_is_met_or_missed(found, at_least, verdict):
    target = Target("share", found, 0.75, at_least)
    assert as_markdown([target]).endswith(f"| {verdict} |")


def test_a_part_that_fails_keeps_none_from_running_and_is_told(tmp_path, monkeypatch, capsys):
    broken = "import sys; sys.exit(3)"
    fine = (
        "import json, sys; open(sys.argv[sys.argv.index('--out') + 1], 'w').write(json.dumps("
        "{'targets': [{'name': 'speed', 'found': 2.0, 'aim': 1.0, 'at_least': True, 'unit': ''}]}))"
    )
    for name, text in (("broken", broken), ("fine", fine)):
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(everything, "BENCH", tmp_path)
    monkeypatch.setattr(everything, "OUT", tmp_path / "out")
    monkeypatch.setattr(everything, "PARTS", {"broken": ([], []), "fine": ([], [])})
    monkeypatch.setattr(sys, "argv", ["everything.py"])
    with pytest.raises(SystemExit, match="1"):
        everything.main()
    printed = capsys.readouterr().out
    assert "| speed | 2 | ≥ 1 | met |" in printed
    assert "broken.py ended with exit code 3" in printed


def test_what_was_not_measured_has_no_ratio():
    ours, keras = tables.rows([RESULTS[4], RESULTS[3]])
    assert (ours.times_usual, ours.times_libraries, ours.share_of_ceiling) == (None, None, None)
    assert keras.rate is None
    lines = tables.text([ours, keras]).splitlines()
    assert " ".join(lines[1].split()) == "this-project float32 1 x 1 x 1 2 1 to 4 – – – 100.0%"
    assert lines[-1] == "keras: not installed: pip install -e '.[bench]'"


def test_a_contestant_that_failed_in_the_middle_has_no_rate():
    assert tables.rate(result("keras", 1.0, error="ended with exit code 1: gone")) is None


def test_json_keeps_every_time():
    rows = json.loads(json.dumps(tables.to_json(tables.rows(RESULTS))))
    assert [m["seconds"] for m in rows[0]["result"]["measurements"]] == [20, 10, 40]
    assert rows[0]["rate"] == {"median": 0.1, "low": 0.05, "high": 0.2}
    assert rows[3]["result"]["error"].startswith("not installed")


def test_every_row_of_the_lineup_uses_all_cores(monkeypatch):
    chosen = Automatic(processes=2, threads=2, precision="float32", lanes=3)
    monkeypatch.setattr(harness.lineup, "choose_automatically", lambda width, data_dir: chosen)
    for row in lineup(list(KINDS), SETTINGS, cores=4):
        assert (BENCH / "contestants" / f"{row.module.split('.')[1]}.py").is_file()
        own = row.settings.lanes if row.kind == "ray-tune" else row.processes
        assert own * row.settings.threads == 4


@pytest.mark.parametrize(("of_sixteen", "lanes"), [(0.0015, 16), (0.00196, 1)])
def test_auto_trains_as_many_lanes_as_fill_a_stack(monkeypatch, of_sixteen, lanes):
    times = ((1, 0.002), (16, 16 * of_sixteen))
    timings = tuple(Timing(10**8, "bfloat16", each, 1, seconds, 0.0) for each, seconds in times)
    measured = Calibration("a processor", "2.0", {}, "bfloat16", timings, (), 2.0, 1.0)
    chosen = WorkerChoices(2, 1, "stacked", "bfloat16", 16, ("lanes",), "cpu", measured)
    found = SimpleNamespace(cost=SimpleNamespace(training=chosen))
    monkeypatch.setattr(sweep, "check", lambda *_, **__: found)
    assert choose_automatically(64, "data") == Automatic(2, 1, "bfloat16", lanes)
    monkeypatch.setattr(found.cost, "training", replace(chosen, calibration=None))
    assert choose_automatically(64, "data") == Automatic(2, 1, "bfloat16", 16)


def test_epochs_of_a_sweep_are_counted_by_width():
    trials = [
        {"params": {"layer_size": 512}, "epochs_run": 20},
        {"params": {"layer_size": 64}, "epochs_run": 3},
        {"params": {"layer_size": 512}, "epochs_run": 1},
    ]
    assert sweep_time.epochs_by_width(trials) == {64: 3, 512: 21}


def test_difference_of_means_has_welchs_interval():
    # By hand: means 3 and 2, variances 1 and 4 over 3, so 1.2910 on 2.9412 degrees of freedom.
    apart, low, high = accuracy.difference([2.0, 3.0, 4.0], [0.0, 2.0, 4.0])
    assert apart == pytest.approx(1.0)
    assert (low, high) == pytest.approx((1 - 4.156, 1 + 4.156), abs=1e-2)
