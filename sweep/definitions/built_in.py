"""The specs of the built-in data sets, known without reading them."""

from __future__ import annotations

from string import ascii_uppercase

from sweep.records import DataSpec

__all__ = ["DATASETS"]

_TEN = tuple("0123456789")
_FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
_KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_BALANCED = tuple("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt")
_CIFAR10 = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
_CIFAR100 = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle",
    "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle",
    "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch",
    "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox",
    "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom",
    "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road",
    "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake",
    "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle",
    "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip


def _grey(names: tuple[str, ...], num_pool: int, num_test: int, size: int = 28) -> DataSpec:
    return DataSpec("image", (1, size, size), names, num_pool, num_test)


def _colour(names: tuple[str, ...], num_pool: int, num_test: int) -> DataSpec:
    return DataSpec("image", (3, 32, 32), names, num_pool, num_test)


DATASETS: dict[str, DataSpec] = {
    "mnist": _grey(_TEN, 60_000, 10_000),
    "fashion-mnist": _grey(_FASHION, 60_000, 10_000),
    "kmnist": _grey(_KUZUSHIJI, 60_000, 10_000),
    "emnist-balanced": _grey(_BALANCED, 112_800, 18_800),
    "emnist-letters": _grey(tuple(ascii_uppercase), 124_800, 20_800),
    "cifar10": _colour(_CIFAR10, 50_000, 10_000),
    "cifar100": _colour(_CIFAR100, 50_000, 10_000),
    "svhn": _colour(_TEN, 73_257, 26_032),
    "digits": _grey(_TEN, 1437, 360, size=8),
}
"""The specs of the built-in data sets."""
