"""The recipe: the hyperparameters of training, which every family shares."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.definitions.parameters import DefaultBy, Params, choice, integer, real

__all__ = ["STRENGTHS", "Recipe", "idle_in_recipe"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained."""

    weight_decay: float = real(
        "Decoupled decay for adamw and muon; an L2 penalty added to the gradient for the others.",
        0.01,
        minimum=0.0,
        maximum=10.0,
    )
    epochs: int = integer("Passes over the training split.", 20, minimum=1, maximum=100_000)
    batch_size: int = integer(
        "Examples in one step; a single one left at the end joins the step before.",
        128,
        minimum=1,
        maximum=65536,
    )
    optimizer: str = choice(
        "adamw and muon decouple weight decay from the gradient, the others do not. muon (Jordan "
        "et al. 2024) updates the weights between the first and the last layer, adamw all else.",
        "adamw",
        ("adamw", "adam", "sgd", "rmsprop", "nadam", "muon"),
    )
    learning_rate: float = real(
        "Step size at the schedule's peak.",
        DefaultBy(
            "optimizer",
            {
                "adamw": 1e-3,
                "adam": 1e-3,
                "sgd": 0.05,
                "rmsprop": 1e-3,
                "nadam": 1e-3,
                "muon": 1e-3,
            },
        ),
        minimum=1e-8,
        maximum=10.0,
    )
    momentum: float = real(
        "Momentum of sgd; without effect for the other optimizers.",
        0.9,
        minimum=0.0,
        maximum=0.9999,
    )
    learning_rate_schedule: str = choice(
        "How the learning rate moves over a trial's steps: it stays, falls to 0 along a "
        "half cosine, or rises for the first 30% and then falls.",
        "cosine",
        ("constant", "cosine", "one_cycle"),
    )
    warmup: float = real(
        "Share of a trial's steps in which the learning rate first rises linearly (Goyal et "
        "al. 2017); without effect with one_cycle, which has its own.",
        0.0,
        minimum=0.0,
        maximum=0.9,
    )
    gradient_clip: float = real(
        "Largest norm of a network's gradient, which is scaled down to it (Pascanu et al. 2013); "
        "0 does not clip.",
        0.0,
        minimum=0.0,
        maximum=1e6,
    )
    max_norm: float = real(
        "Largest norm of the weights into one unit, which are scaled down to it after each step "
        "(Srivastava et al. 2014); 0 sets no bound.",
        0.0,
        minimum=0.0,
        maximum=1000.0,
    )
    weight_averaging: float = real(
        "Decay per step of an exponential moving average of the weights, which is evaluated and "
        "kept in their place (Polyak and Juditsky 1992; Tan and Le 2019); 0 does not average. "
        "Training losses are those of the weights.",
        0.0,
        minimum=0.0,
        maximum=0.99999,
    )
    input_dropout: float = real(
        "Probability of setting each normalised input to 0 in a training step (Srivastava et al. "
        "2014).",
        0.0,
        minimum=0.0,
        maximum=0.95,
    )
    input_noise: float = real(
        "Standard deviation of the Gaussian noise on normalised inputs in a training step (Bishop "
        "1995).",
        0.0,
        minimum=0.0,
        maximum=10.0,
    )
    label_smoothing: float = real(
        "Share of each label that the loss spreads over all classes (Szegedy et al. 2016).",
        0.0,
        minimum=0.0,
        maximum=0.9,
    )
    class_weights: str = choice(
        "balanced weights each training example by N / (C n): N examples, C classes, n examples of "
        "its class. Validation is not weighted.",
        "none",
        ("none", "balanced"),
    )

    augmentation: str = choice(
        "Random change of each training image: shift moves it by whole pixels; affine moves, "
        "scales, shears and rotates it; elastic also bends it (Simard et al. 2003). What comes in "
        "from outside is black.",
        "none",
        ("none", "shift", "affine", "elastic"),
    )
    max_shift: float = real(
        "Largest shift, as a share of the image's side.", 0.08, minimum=0.0, maximum=0.5
    )
    max_rotation: float = real("Largest rotation in degrees.", 10.0, minimum=0.0, maximum=180.0)
    max_scaling: float = real(
        "Largest change of size, as a share of it.", 0.1, minimum=0.0, maximum=0.9
    )
    max_shear: float = real(
        "Largest shear: how far a row moves for each row below it.", 0.1, minimum=0.0, maximum=1.0
    )
    elastic_strength: float = real(
        "Root mean square length of elastic displacements, as a share of the image's side.",
        0.03,
        minimum=0.0,
        maximum=0.2,
    )
    flip: str = choice(
        "Whether each training image is mirrored left to right at random.",
        "none",
        ("none", "horizontal"),
    )


STRENGTHS: dict[str, tuple[str, ...]] = {
    "none": (),
    "shift": ("max_shift",),
    "affine": ("max_shift", "max_rotation", "max_scaling", "max_shear"),
    "elastic": ("max_shift", "max_rotation", "max_scaling", "max_shear", "elastic_strength"),
}
"""The parameters of each augmentation."""


def idle_in_recipe(params: Params) -> frozenset[str]:
    """Names of the recipe's parameters without effect in a configuration."""
    idle = set(STRENGTHS["elastic"]) - set(STRENGTHS[str(params.get("augmentation", "none"))])
    if params.get("optimizer") != "sgd":
        idle.add("momentum")
    if params.get("learning_rate_schedule") == "one_cycle":
        idle.add("warmup")
    return frozenset(idle)
