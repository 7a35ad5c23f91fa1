"""Keras 3 with its torch backend: `fit` on arrays in memory."""

from __future__ import annotations

import os
import tempfile

from contestants import workload
from contestants.serving import Prepared, Settings, serve

_WARM_UP_IMAGES = 20 * workload.BATCH_SIZE


def prepare(settings: Settings) -> Prepared:
    with tempfile.TemporaryDirectory() as folder:
        # Read when Keras is imported, which would write its configuration into the home folder.
        os.environ |= {
            "KERAS_BACKEND": "torch",
            "KERAS_HOME": folder,
            "KERAS_TORCH_DEVICE": "cpu",
        }
        import keras
        import torch
    torch.set_num_threads(settings.threads)
    images, labels = workload.training_arrays(settings.data_dir)
    hidden = [
        keras.layers.Dense(settings.width, activation="relu")
        for _ in range(workload.NUM_HIDDEN_LAYERS)
    ]
    output = keras.layers.Dense(workload.NUM_CLASSES)
    model = keras.Sequential([keras.Input((workload.NUM_INPUTS,)), *hidden, output])
    model.compile(
        optimizer=keras.optimizers.AdamW(workload.LEARNING_RATE, workload.WEIGHT_DECAY),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )

    def fit(num_images: int, epochs: int) -> None:
        arrays = images[:num_images], labels[:num_images]
        model.fit(*arrays, batch_size=workload.BATCH_SIZE, epochs=epochs, verbose=0)

    fit(_WARM_UP_IMAGES, 1)

    def go() -> int:
        fit(workload.NUM_IMAGES, settings.epochs)
        return settings.epochs

    return Prepared(go, "not compiled (its default); float32 arrays in memory; the network is kept")


if __name__ == "__main__":
    serve(prepare, ("keras", "torch", "numpy"))
