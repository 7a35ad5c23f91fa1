"""scikit-learn's MLPClassifier, one `partial_fit` per epoch."""

from __future__ import annotations

import numpy as np
from sklearn.neural_network import MLPClassifier

from contestants import workload
from contestants.serving import Prepared, Settings, serve

_WARM_UP_IMAGES = 20 * workload.BATCH_SIZE


def prepare(settings: Settings) -> Prepared:
    images, labels = workload.training_arrays(settings.data_dir)
    # `partial_fit` makes one pass over the data, without early stopping and without the warning
    # about convergence that `fit` gives at `max_iter`.
    classifier = MLPClassifier(
        hidden_layer_sizes=(settings.width,) * workload.NUM_HIDDEN_LAYERS,
        activation="relu",
        solver="adam",
        alpha=workload.WEIGHT_DECAY,
        batch_size=workload.BATCH_SIZE,
        learning_rate_init=workload.LEARNING_RATE,
        random_state=0,
    )
    classifier.partial_fit(
        images[:_WARM_UP_IMAGES], labels[:_WARM_UP_IMAGES], classes=np.arange(workload.NUM_CLASSES)
    )

    def go() -> int:
        for _ in range(settings.epochs):
            classifier.partial_fit(images, labels)
        return settings.epochs

    return Prepared(
        go,
        "Adam with an L2 penalty (alpha) of 0.01, for lack of AdamW; float32 arrays in memory; the "
        "network is kept between measurements",
    )


if __name__ == "__main__":
    serve(prepare, ("scikit-learn", "numpy"))
