"""The benchmark of searches: curves, what is predicted from them, and replayed studies."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

sys.path.append(str(Path(__file__).parents[2] / "bench" / "search"))

import collect
import portfolio
import regret
from curve_files import METRICS, Curves
from judging import JudgedGroup
from picture import draw, style
from replay import replay
from searches import CONTESTANTS
from standings import overview, task_table
from surrogate import Curve, Surrogate, features
from tasks import MAX_EPOCHS, TASKS, Task

from sweep.data import TrainingData
from sweep.definitions import parameters_of, with_defaults
from sweep.records import StartingPoint, TrialConfig
from sweep.space import random_configurations
from sweep.training.measurements import Measurement

DIGITS_DIR = Path()  # they come with scikit-learn
NUM_CONFIGURATIONS = 60
TASK = Task(
    name="made-up",
    dataset={"name": "digits"},
    parameters={
        "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
        "activation": {"choices": ["relu", "tanh"]},
        "layer_size": {"choices": [64, 128, 256]},
        "epochs": {"low": 5, "high": MAX_EPOCHS},
    },
    num_configurations=NUM_CONFIGURATIONS,
    precision="float32",
)


def error(params: Any, epoch: int) -> float:
    """A made-up learning curve."""
    distance = abs(np.log10(params["learning_rate"]) + 2.5)
    slower = 1.3 if params["activation"] == "tanh" else 1.0
    return float(0.4 * slower * (1 + distance) * (epoch + 1) ** -0.7)


def made_up_curves() -> Curves:
    drawn = random_configurations(TASK.space(), NUM_CONFIGURATIONS)
    curves = np.full((NUM_CONFIGURATIONS, MAX_EPOCHS, len(METRICS)), np.nan)
    for row, params in zip(curves, drawn, strict=True):
        for epoch in range(1, params["epochs"] + 1):
            found = error(params, epoch)
            row[epoch - 1] = [found, 1 - found, found, 1 - found, found, 1 - found, 0.5]
    best = np.argsort([row[np.isfinite(row[:, 0])][-1, 0] for row in curves])[:10]
    draw = np.random.default_rng(0)
    repeated = curves[best] * draw.uniform(0.99, 1.01, (3, 10, 1, 1))
    return Curves(curves, best, repeated, num_train=2000, num_judged=1000)


@pytest.fixture(scope="module")
def surrogate() -> Surrogate:
    return Surrogate(TASK, made_up_curves())


# ---------------------------------------------------------------- curves


def test_files_keep_accuracies_exactly_and_losses_to_three_digits(tmp_path):
    made = made_up_curves()
    exact = np.rint(made.curves * 1000) / 1000  # of 1,000 examples
    curves = Curves(exact, made.best, made.repeated, 2000, 1000)
    curves.write(tmp_path / "new" / "curves.npz")
    read = Curves.read(tmp_path / "new" / "curves.npz")
    assert (read.num_train, read.num_judged, read.best.tolist()) == (2000, 1000, made.best.tolist())
    accuracy, loss = METRICS.index("judge_accuracy"), METRICS.index("train_loss")
    np.testing.assert_allclose(read.curves[..., accuracy], exact[..., accuracy], atol=1e-12)
    np.testing.assert_allclose(read.repeated[..., loss], made.repeated[..., loss], rtol=1e-3)


def test_swapped_curves_are_chosen_on_what_they_were_judged_on():
    curves = made_up_curves()
    curves.curves[..., METRICS.index("judge_accuracy")] -= 0.1
    swapped = curves.swapped()
    for one, other in (("judge", "validation"), ("validation", "judge"), ("train", "train")):
        for measure in ("accuracy", "loss"):
            here, there = METRICS.index(f"{one}_{measure}"), METRICS.index(f"{other}_{measure}")
            np.testing.assert_array_equal(curves.curves[..., here], swapped.curves[..., there])
            np.testing.assert_array_equal(curves.repeated[..., here], swapped.repeated[..., there])
    np.testing.assert_array_equal(swapped.swapped().curves, curves.curves)


def test_a_judged_group_measures_every_other_example_apart():
    labels = np.array([0, 1, 2, 3, 4, 5])
    predictions = torch.tensor([0, 9, 2, 9, 9, 5])
    losses = torch.tensor([1.0, 10.0, 2.0, 20.0, 6.0, 60.0])
    measured = Measurement({"train_loss": 0.5}, predictions, losses, 0.1)

    class Group:
        lanes = ("lane",)
        num_steps = 7

        def finish_epoch(self) -> list[Measurement]:
            return [measured]

    group = JudgedGroup(Group(), labels)  # type: ignore[arg-type]
    assert (group.num_steps, group.lanes) == (7, ("lane",))
    (found,) = group.finish_epoch()
    assert found.values == {
        "train_loss": 0.5,
        "validation_accuracy": pytest.approx(2 / 3),
        "validation_loss": pytest.approx(3.0),
        "judge_accuracy": pytest.approx(1 / 3),
        "judge_loss": pytest.approx(30.0),
    }


def test_tasks_are_valid_search_spaces_of_five_ten_and_thirteen_parameters():
    numbers = {"five": 5, "extended": 13, "cnn": 10}
    for name, task in TASKS.items():
        space = task.space()
        assert space.max_epochs == MAX_EPOCHS
        kind = name.partition("-")[2]
        assert len(space.sampled) == numbers[kind]
        assert space.model == task.model == ("cnn" if kind == "cnn" else "mlp")


def thirds_of_digits(thinning: int = 1) -> TrainingData:
    return collect.thirds(replace(TASKS["digits-cnn"], thinning=thinning), DIGITS_DIR)


def test_a_thinned_task_uses_some_of_each_third():
    whole, thinned = thirds_of_digits(), thirds_of_digits(thinning=3)
    assert len(whole.validation) == 2 * len(whole.train) == 958
    for part in ("train", "validation"):
        all_of_it, some = getattr(whole, part), getattr(thinned, part)
        np.testing.assert_array_equal(some.inputs, all_of_it.inputs[::3])
        np.testing.assert_array_equal(some.labels, all_of_it.labels[::3])


@pytest.mark.parametrize("name", ["digits-five", "digits-cnn"])
def test_a_chunk_is_trained_to_the_last_epoch_of_each_configuration(name, tmp_path, monkeypatch):
    monkeypatch.setattr(collect, "CHUNKS", tmp_path)
    task = replace(TASKS[name], num_configurations=6, thinning=8)
    chunk, *_ = collect.chunks(task, 0, range(6), DIGITS_DIR)
    collect.train(chunk)
    assert chunk.is_done
    curves = collect.read(task, [chunk])
    drawn = random_configurations(task.space(), 6)
    for number, curve in enumerate(curves):
        wanted = drawn[number]["epochs"] if number in chunk.configurations else 0
        assert np.isfinite(curve).all(1).sum() == wanted
        assert np.isnan(curve[wanted:]).all()
    judged = curves[chunk.configurations[0], 0, METRICS.index("judge_accuracy")]
    assert 0 <= judged <= 1


def test_a_trial_that_fails_ends_the_collection(monkeypatch):
    task = replace(TASKS["digits-cnn"], thinning=8)
    chunk, *_ = collect.chunks(task, 0, range(2), DIGITS_DIR)
    engine = collect.load_judged_engine(chunk)
    config = TrialConfig(0, seed=0, params=random_configurations(task.space(), 1)[0], order=0)
    broken = replace(config, params={**config.params, "kernel_size": "wide"})
    with pytest.raises(RuntimeError, match="trial 0: "):
        collect.record(engine, [broken])


# ---------------------------------------------------------------- predictions


def test_a_configuration_becomes_numbers():
    found = features(
        TASK.space(),
        {"learning_rate": 1e-1, "activation": "tanh", "layer_size": 128, "epochs": 5},
    )
    expected = {1.0, 0.0, 0.5}
    assert set(np.round(found, 9)) == expected
    assert len(found) == 5


def test_curves_of_configurations_that_were_never_trained_are_predicted(surrogate):
    new = random_configurations(TASK.space(), 3 * NUM_CONFIGURATIONS)[NUM_CONFIGURATIONS:]
    for params in new:
        curve = surrogate.predict(params)
        assert curve.accuracy.shape == curve.judged.shape == (params["epochs"],)
        real = np.array([error(params, epoch) for epoch in range(1, params["epochs"] + 1)])
        assert np.abs(np.log((1 - curve.accuracy) / real)).max() < 0.35


def test_a_seed_moves_a_curve_and_always_alike(surrogate):
    params = random_configurations(TASK.space(), 1)[0]
    one, same, other = (surrogate.predict(params, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.accuracy, same.accuracy)
    assert (one.accuracy != other.accuracy).any()
    mean = np.mean([surrogate.predict(params, seed).accuracy[-1] for seed in range(200)])
    assert mean == pytest.approx(surrogate.predict(params).accuracy[-1], abs=2e-3)


# ---------------------------------------------------------------- replays


class Table:
    """In place of a surrogate: the value grows with the epoch and the number of layers' units."""

    def predict(self, params: Any, seed: int | None = None) -> Curve:
        epochs = np.arange(1, params["epochs"] + 1)
        accuracy = 1 - params["weight_decay"] - 0.1 / epochs
        noisy = accuracy if seed is None else accuracy - 0.01 * (seed % 2)
        return Curve(noisy, 1 - noisy, accuracy - 0.05)


def make_space(trials: int = 12, **sections: Any):
    parameters = {"weight_decay": {"low": 0.01, "high": 0.2}, "epochs": 6}
    task = Task("x", {"name": "digits"}, parameters, 1, "float32")
    return task.space(budget={"trials": trials}, **{"pruner": {"type": "none"}, **sections})


@pytest.mark.parametrize("lanes", [1, 2, 5, 64])
def test_a_replayed_random_search_spends_every_epoch_and_ends_with_its_best(lanes):
    space = make_space(sampler={"type": "random", "seed": 3})
    steps, spent = replay(space, Table(), lanes)  # type: ignore[arg-type]
    assert spent == 12 * 6
    assert [step.epochs for step in steps] == sorted(step.epochs for step in steps)
    if lanes == 1:
        assert steps[0].epochs == 6
    ends, _ = replay(space, Table(), 1)  # type: ignore[arg-type]
    assert steps[-1].accuracy == ends[-1].accuracy, "lanes change the order alone"


@pytest.mark.parametrize("epochs", [1, 2])
def test_best_after_goes_on_with_three(epochs):
    space = make_space(sampler={"type": "random", "seed": 3})
    with CONTESTANTS[f"{epochs}-epoch"].playing():
        steps, spent = replay(space, Table(), 2)  # type: ignore[arg-type]
    assert spent == 12 * epochs + 3 * (6 - epochs)
    full, _ = replay(space, Table(), 2)  # type: ignore[arg-type]
    assert steps[-1].accuracy == pytest.approx(full[-1].accuracy, abs=0.011)


def test_a_replayed_search_pauses_and_promotes():
    space = make_space(sampler={"type": "tpe", "seed": 1}, pruner={"type": "asha"})
    steps, spent = replay(space, Table(), 4)  # type: ignore[arg-type]
    assert steps
    assert 12 < spent < 12 * 6


class Listed:
    """In place of a surrogate: of 36 weight decays, the accuracies of one row each."""

    def __init__(self, accuracies: np.ndarray) -> None:
        self._accuracies = accuracies

    def predict(self, params: Any, seed: int | None = None) -> Curve:
        del seed
        accuracy = self._accuracies[round(100 * params["weight_decay"]) - 1]
        return Curve(accuracy, 1 - accuracy, accuracy)


def pasha_spends(first: Any, second: Any) -> int:
    """Epochs of 36 trials of 20 epochs, with rungs at 1, 4 and 10.

    The curves of the best two differ by what is given; the others never change places.
    """
    epochs = np.arange(1, 21)
    accuracies = 0.9 - 0.01 * np.arange(36)[:, None] - 0.1 / epochs
    accuracies[0] = accuracies[1] = 0.95 - 0.1 / epochs
    accuracies[0] += first(epochs)
    accuracies[1] += second(epochs)
    parameters = {"weight_decay": {"low": 0.01, "high": 0.4}, "epochs": 20}
    space = Task("x", {"name": "digits"}, parameters, 1, "float32").space(
        budget={"trials": 36},
        sampler={"type": "random"},
        pruner={"type": "asha", "rungs": [0.05, 0.17, 0.5], "reduction_factors": [6, 3, 2]},
        enqueue=[{"weight_decay": (row + 1) / 100} for row in range(36)],
    )
    with CONTESTANTS["random/pasha"].playing():
        steps, spent = replay(space, Listed(accuracies), 36)  # type: ignore[arg-type]
    assert [step.accuracy for step in steps] == [accuracies[:2, -1].max()], "the best is finished"
    return spent


_LOW = 36 + 6 * 3 + 16  # a sixth goes on to the second rung, one of them to its end


def test_pasha_uses_no_higher_rung_while_ranks_agree():
    assert pasha_spends(lambda epoch: 0.02, lambda epoch: 0.0 * epoch) == _LOW


def test_pasha_uses_a_higher_rung_once_ranks_have_changed():
    crossing = pasha_spends(lambda epoch: 0.01 * (epoch - 2.5), lambda epoch: 0.0 * epoch)
    assert crossing == _LOW + 6, "two go on to the third rung, not one"


def test_pasha_takes_trials_that_change_places_and_back_for_equal():
    def swings(epoch: Any) -> Any:
        return 0.002 * (-1.0) ** epoch * (1 + epoch / 100)

    assert pasha_spends(swings, lambda epoch: -swings(epoch)) == _LOW


# ---------------------------------------------------------------- regret


def test_regret_counts_from_the_epoch_at_which_the_median_stays_within():
    reference = [(60, [(20, 0.5), (60, 0.9)])] * 4 + [(60, [(60, 0.9004)])]
    found = [
        (50, [(10, 0.9), (20, 0.8), (40, 0.9)]),
        (50, [(30, 0.9)]),
        (50, [(45, 0.8995)]),
    ]
    summary = regret.summarize(found, reference)
    assert summary.epochs == 40
    assert summary.interval[0] <= 40 <= summary.interval[1]
    assert summary.regret == pytest.approx(0)
    assert summary.spent == 50
    never = regret.summarize([(50, [(10, 0.89)])] * 3, reference)
    assert never.epochs == np.inf
    table = regret.accuracies(found)
    assert table[0, [9, 10, 19, 20, 40, regret.HORIZON]].tolist() == [0, 0.9, 0.9, 0.8, 0.9, 0.9]


def test_seeds_with_odd_numbers_are_compared_with_those_judged_on_the_same_third():
    reference = [(60, [(60, 0.9)]), (60, [(60, 0.7)])] * 2
    found = [(50, [(10, 0.9)]), (50, [(10, 0.7)]), (50, [(30, 0.9)]), (50, [(20, 0.71)])]
    table = regret.regrets(found, reference)
    np.testing.assert_allclose(table[:, -1], [0, 0, 0, -0.01], atol=1e-12)
    np.testing.assert_allclose(table[:, 15], [0, 0, 0.9, 0.7])
    assert regret.summarize(found, reference).epochs == 20


def made_up_summary(epochs: float, spent: float = 400) -> regret.Summary:
    return regret.Summary(epochs, (epochs, np.inf), 0.0012, spent)


def test_the_overview_says_what_share_was_spent_and_which_targets_are_met():
    never = np.inf
    epochs = {
        "random": [780, 790, 800],
        "1-epoch": [never, 90, never],
        "2-epoch": [never, never, 160],
        "good": [80, 79, 130],
        "late": [80, 79, 134],
        "close": [80, 98, 90],
        "behind": [80, 99.5, 90],
        "beaten": [40, 40, never],
    }
    summaries = {
        (task, 2): {name: made_up_summary(each[place], 800) for name, each in epochs.items()}
        for place, task in enumerate("abc")
    }
    head, line, *rows = overview(summaries | {("a", 16): {}}, 2).splitlines()
    assert head.startswith("| 2 lanes | a | b | c | ")
    assert line.count("---") == 6
    cells = {row.split(" | ")[0][2:]: row[2:-2].split(" | ")[1:] for row in rows}
    met = "met; they get there on 2 of 3"
    assert cells == {
        "random": ["1/1.0", "1/1.0", "1/1.0", "missed: 0 of 3, worst 1/1.0", "missed: b, c"],
        "1-epoch": ["never; +0.12", "1/8.9", "never; +0.12", "missed: 0 of 3, worst never",
                    "missed: c"],
        "2-epoch": ["never; +0.12", "never; +0.12", "1/5.0", "missed: 0 of 3, worst never",
                    "missed: b"],
        "good": ["1/10.0", "1/10.1", "1/6.2", "met: 2 of 3, worst 1/6.2", met],
        "late": ["1/10.0", "1/10.1", "1/6.0", "missed: 2 of 3, worst 1/6.0", met],
        "close": ["1/10.0", "1/8.2", "1/8.9", "missed: 1 of 3, worst 1/8.2", met],
        "behind": ["1/10.0", "1/8.0", "1/8.9", "missed: 1 of 3, worst 1/8.0", "missed: b"],
        "beaten": ["1/20.0", "1/20.0", "never; +0.12", "missed: 2 of 3, worst never",
                   "missed: c"],
    }  # fmt: skip


def test_baselines_that_never_get_there_give_no_verdict():
    epochs = {"random": 300, "1-epoch": np.inf, "2-epoch": np.inf, "other": 40}
    summaries = {("a", 2): {name: made_up_summary(each) for name, each in epochs.items()}}
    rows = overview(summaries, 2).splitlines()[2:]
    assert all(row.endswith("| neither gets there |") for row in rows)


def test_a_task_has_a_table_of_epochs_regret_and_epochs_in_all():
    summaries = {("a", lanes): {"random": made_up_summary(30 * lanes)} for lanes in (2, 16)}
    assert task_table(summaries, "a").splitlines() == [
        "| a | 2 lanes | 16 lanes |",
        "| --- | --- | --- |",
        "| random | 60 (60 to never); +0.12 after 400 | 480 (480 to never); +0.12 after 400 |",
    ]


def test_the_picture_has_a_panel_for_each_task_and_number_of_lanes(tmp_path):
    found = {"random": [(60, [(20, 0.5), (60, 0.9)])], "tpe/asha": [(30, [(10, 0.8)])]}
    draw({("a", 2): found, ("a", 16): found}, "random", tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 10_000


def test_no_two_contestants_look_alike():
    drawn = [str(style(name, "random")) for name in CONTESTANTS]
    assert len(set(drawn)) == len(drawn)


# ---------------------------------------------------------------- the portfolio


def brute_greedy(table: np.ndarray, number: int) -> list[int]:
    """As it is described, one sum after the other."""
    chosen: list[int] = []
    turn: list[int] = []
    while len(chosen) < number:

        def total(row: int, rows: list[int]) -> float:
            return sum(
                min(1, *(table[each, task] for each in [row, *rows]))
                for task in range(table.shape[1])
            )

        left = [row for row in range(len(table)) if row not in chosen]
        now = total(turn[0], turn) if turn else float(table.shape[1])
        best = min(left, key=lambda row: total(row, turn), default=None)
        if best is not None and total(best, turn) < now:
            chosen.append(best)
            turn.append(best)
        elif turn:
            turn = []
        else:
            break
    return chosen


@pytest.mark.parametrize("seed", range(5))
def test_the_portfolio_is_chosen_as_a_brute_force_does(seed):
    draw = np.random.default_rng(seed)
    table = np.rint(16 * draw.uniform(0, 1.5, (12, 3))) / 16  # whose sums are exact
    table[draw.random(table.shape) < 0.3] = np.inf
    for number in (1, 4, 10, 20):
        assert portfolio.greedy(table, number) == brute_greedy(table, number)


def test_each_choice_helps_where_the_others_do_not():
    table = np.array([[0.0, 0.9], [0.1, 0.1], [0.9, 0.0], [2.0, np.inf]])
    assert portfolio.greedy(table, 3) == [1, 0, 2]
    assert portfolio.greedy(table, 10) == [1, 0, 2], "the last is worse than the median"


def test_regret_is_0_for_the_best_and_1_for_the_median():
    found = portfolio.regrets(np.array([0.5, 0.9, np.nan, 0.7]))
    assert found.tolist() == pytest.approx([2, 0, np.inf, 1])


def test_accuracies_are_judged_at_the_best_validation_epoch_in_the_mean_of_seeds():
    made = made_up_curves()
    validation, judged = METRICS.index("validation_accuracy"), METRICS.index("judge_accuracy")
    made.curves[:, 2, validation] = 1.0  # the third epoch, whatever is judged
    made.repeated[:, :, 2, validation] = 1.0
    found = portfolio._recorded(made)
    assert found.shape == (NUM_CONFIGURATIONS,)
    for row in range(NUM_CONFIGURATIONS):
        seeds = [made.curves[row], *made.repeated[:, made.best == row].reshape(-1, *row_shape())]
        assert found[row] == pytest.approx(np.mean([each[2, judged] for each in seeds]))


def row_shape() -> tuple[int, int]:
    return MAX_EPOCHS, len(METRICS)


def test_the_data_set_in_question_is_left_out(monkeypatch):
    asked: list[str] = []

    def accuracies(task: str) -> np.ndarray:
        asked.append(task)
        return np.linspace(0.5, 0.9, 240 if task.endswith("cnn") else 480)

    tasks = ["digits-five", "letter-five", "digits-extended", "digits-cnn", "mnist-cnn"]
    monkeypatch.setattr(portfolio, "recorded_tasks", lambda: tasks)
    monkeypatch.setattr(portfolio, "_accuracies", accuracies)
    choose = portfolio.choose.__wrapped__
    monkeypatch.setattr(portfolio, "choose", choose)
    found = {model: choose(model, without="digits") for model in ("mlp", "cnn")}
    assert asked == ["letter-five", "mnist-cnn"]
    assert found["mlp"][0] == portfolio._drawn("digits-extended")[-1], "best by what was judged"
    assert found["cnn"][0] == portfolio._drawn("digits-cnn")[-1]
    text = portfolio.written(without="digits")
    assert text.splitlines()[1].endswith("from letter-five, mnist-cnn.")
    written = yaml.safe_load(text)
    assert written.keys() == found.keys()
    for model, configurations in found.items():
        assert len(configurations) == portfolio.NUMBER
        again = [with_defaults(parameters_of(model), each) for each in written[model]]
        for one, other in zip(again, configurations, strict=True):
            assert one.keys() == other.keys()
            for name, value in other.items():
                wanted = value if isinstance(value, str) else pytest.approx(value, 0.005)
                assert one[name] == wanted


def test_a_replayed_search_tries_its_starting_points_first():
    space = make_space(sampler={"type": "random", "seed": 3})
    point = StartingPoint({"weight_decay": 0.01}, "the portfolio")
    steps, _ = replay(space, Table(), 1, [point])  # type: ignore[arg-type]
    assert steps[0].accuracy == pytest.approx(1 - 0.01 - 0.1 / 6 - 0.05)
    assert len(steps) == 1, "nothing is better"
