"""The recipe's parts: the reference against plain autograd, a stack against the reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from driving import MLP, assert_same, make_batches, make_group, train
from helpers import make_config
from torch import Tensor, nn
from torch.nn import functional

from sweep.data import TrainingData
from sweep.definitions import Recipe, view
from sweep.records import TrialConfig
from sweep.training.groups import drawing_from, dropout_generator
from sweep.training.learning_rates import learning_rates

ENGINES = ("sequential", "stacked")
PARTS = {
    "plain": {},
    "clip": {"gradient_clip": 0.5},
    "max-norm": {"max_norm": 0.6},
    "averages": {"weight_averaging": 0.8},
    "noise": {"input_noise": 0.3},
    "input dropout": {"input_dropout": 0.25},
    "warm-up": {"warmup": 0.4},
    "all": {
        "gradient_clip": 0.4,
        "max_norm": 0.6,
        "weight_averaging": 0.9,
        "input_noise": 0.2,
        "input_dropout": 0.1,
        "warmup": 0.2,
        "optimizer": "nadam",
    },
}


@pytest.fixture(scope="module")
def tiny(digits: TrainingData) -> TrainingData:
    """49 images to train on, a single one more than three batches of 16, and 20 to validate."""
    return replace(
        digits,
        train=digits.train.take(np.arange(49)),
        validation=digits.validation.take(np.arange(20)),
    )


# ---------------------------------------------------------------- the reference


@pytest.mark.parametrize("changes", PARTS.values(), ids=PARTS)
def test_the_reference_is_what_everyone_would_write(tiny, changes):
    """Two epochs with autograd and `torch.optim`, and nothing else of this room but its seeds."""
    config = make_config(num_layers=3, dropout=0.2, epochs=2, batch_size=16, **changes)
    recipe = view(Recipe, config.params)
    group = make_group("sequential", [config], tiny, "float64")
    batches = make_batches(tiny, "float64")
    torch.manual_seed(config.seed)
    model = MLP.build(config.params, tiny.spec).double()
    kind = torch.optim.NAdam if recipe.optimizer == "nadam" else torch.optim.AdamW
    known = kind(model.parameters(), weight_decay=recipe.weight_decay)
    generator = dropout_generator(config.seed, batches.device)
    averages = [p.detach().clone() for p in model.parameters()]
    rates = [learning_rates(recipe, epoch, 3, batches.device) for epoch in range(2)]
    for epoch in range(2):
        group.begin_epoch()
        model.train()
        rows = batches.order(config.order, epoch + 1).split([16, 16, 17])
        for step in range(3):
            inputs, labels = batches.read(batches.train, rows[step])
            inputs = inputs + recipe.input_noise * drawn(
                torch.Tensor.normal_, inputs, generator, recipe.input_noise
            )
            keep = 1 - recipe.input_dropout
            mask = drawn(
                lambda tensor, generator, keep=keep: tensor.bernoulli_(keep, generator=generator),
                inputs, generator, recipe.input_dropout,
            )  # fmt: skip
            inputs = inputs * mask / keep if recipe.input_dropout else inputs
            with drawing_from(generator):
                loss = functional.cross_entropy(model(inputs), labels)
            known.zero_grad()
            loss.backward()
            if recipe.gradient_clip:
                norm = nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_clip)
                assert norm > recipe.gradient_clip, "the test needs gradients that are clipped"
            known.param_groups[0]["lr"] = rates[epoch][step].item()
            known.step()
            with torch.no_grad():
                bounded = 0
                for weight in model.parameters():
                    if recipe.max_norm and weight.dim() == 2:
                        norms = weight.norm(dim=1, keepdim=True)
                        bounded += int((norms > recipe.max_norm).sum())
                        weight *= (recipe.max_norm / norms).clamp(max=1)
                assert bounded or not recipe.max_norm, "the test needs weights that are bounded"
                taken = 3 * epoch + step
                decay = min(recipe.weight_averaging, (1 + taken) / (10 + taken))
                for average, weight in zip(averages, model.parameters(), strict=True):
                    average.copy_(decay * average + (1 - decay) * weight)
            group.step(step)
        (measured,) = group.finish_epoch()
        kept = group.copy_weights(0)
        model.eval()
        trained = [p.detach().clone() for p in model.parameters()]
        with torch.no_grad():
            for weight, average in zip(model.parameters(), averages, strict=True):
                if recipe.weight_averaging:
                    weight.copy_(average)
            inputs, labels = batches.read(batches.validation, torch.arange(20))
            expected = functional.cross_entropy(model(inputs), labels).item()
            assert measured.values["validation_loss"] == pytest.approx(expected, rel=1e-6)
            for name, weight in model.state_dict().items():
                torch.testing.assert_close(kept[name], weight, rtol=1e-6, atol=1e-6)
            for weight, value in zip(model.parameters(), trained, strict=True):
                weight.copy_(value)
        group.lanes[0].epoch += 1


def drawn(draw, like: Tensor, generator: torch.Generator, amount: float) -> Tensor:
    return draw(torch.empty_like(like), generator=generator) if amount else torch.zeros_like(like)


# ---------------------------------------------------------------- the stack


def lanes(**changes) -> list[TrialConfig]:
    """Lanes with each part, and with each optimiser; three widths, so that some are padded."""
    kinds = [
        {"optimizer": "rmsprop"},
        {"optimizer": "nadam", "weight_averaging": 0.5},
        {"optimizer": "muon", "num_layers": 4},
        {"optimizer": "muon", "gradient_clip": 0.5, "max_norm": 0.7, "weight_averaging": 0.9},
        *({"warmup": 0.0} | part for part in PARTS.values() if not input_parts(part)),
    ]
    sizes = (19, 33, 8)
    return [
        make_config(
            number=number, seed=60 + number,
            **{"num_layers": 3, "layer_size": sizes[number % 3], "dropout": 0.1 * (number % 2),
               "epochs": 3, "batch_size": 16, **kind, **changes},
        )
        for number, kind in enumerate(kinds)
    ]  # fmt: skip


def input_parts(part: dict[str, object]) -> bool:
    return bool({"input_noise", "input_dropout"} & part.keys())


def test_lanes_of_a_stack_are_what_they_are_alone(tiny):
    """Also when some leave in the middle of an epoch, and when others went on from a checkpoint."""
    configs = lanes()
    alone = train(tiny, *configs, name="sequential", precision="float64")
    together = train(tiny, *configs, precision="float64", lanes=16)
    for ours, theirs in zip(together, alone, strict=True):
        assert_same(ours, replace(theirs, num_lanes=ours.num_lanes))
