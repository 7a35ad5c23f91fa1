"""The usual loop: torchvision's MNIST, a DataLoader and an Optuna objective around them.

As in PyTorch's own MNIST example, but a little faster than usually written: the optimiser is fused,
and the loader and its processes are kept from trial to trial.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice, pairwise

import optuna
import torch
import torchvision
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision import transforms

from contestants import workload
from contestants.serving import Prepared, Settings, serve

_WARM_UP_STEPS = 40


def build_loader(data_dir: str, loader_processes: int) -> DataLoader:
    transform = transforms.Compose(
        [
            transforms.ToTensor(),
            transforms.Normalize((workload.PIXEL_MEAN,), (workload.PIXEL_DEVIATION,)),
        ]
    )
    dataset = torchvision.datasets.MNIST(data_dir, train=True, transform=transform)
    return DataLoader(
        Subset(dataset, range(workload.NUM_IMAGES)),
        batch_size=workload.BATCH_SIZE,
        shuffle=True,
        num_workers=loader_processes,
        persistent_workers=loader_processes > 0,
    )


def build_network(width: int) -> nn.Sequential:
    sizes = [workload.NUM_INPUTS, *[width] * workload.NUM_HIDDEN_LAYERS]
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, workload.NUM_CLASSES))


def train(
    loader: DataLoader,
    width: int,
    epochs: int,
    report: Callable[[int, float], None],
    num_steps: int | None = None,
    device: str = "cpu",
) -> float:
    """Train a new network; return the last epoch's mean loss.

    Args:
        loader: Batches of images and labels.
        width: Units of each hidden layer.
        epochs: Passes over the data.
        report: Receives each epoch, from 0, and its mean loss.
        num_steps: Steps per epoch; None for all.
        device: Where it is trained.
    """
    model = build_network(width).to(device)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=workload.LEARNING_RATE,
        weight_decay=workload.WEIGHT_DECAY,
        fused=True,
    )
    loss_function = nn.CrossEntropyLoss()
    mean_loss = 0.0
    for epoch in range(epochs):
        model.train()
        loss_sum = 0.0
        for images, labels in islice(loader, num_steps):
            optimizer.zero_grad()
            loss = loss_function(model(images.to(device)), labels.to(device))
            loss.backward()
            optimizer.step()
            loss_sum += loss.item()
        mean_loss = loss_sum / (num_steps or len(loader))
        report(epoch, mean_loss)
    return mean_loss


def prepare(settings: Settings) -> Prepared:
    torch.set_num_threads(settings.threads)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    loader = build_loader(settings.data_dir, settings.loader_processes)
    study = optuna.create_study()

    def objective(trial: optuna.Trial, num_steps: int | None = None) -> float:
        def report(epoch: int, loss: float) -> None:
            trial.report(loss, epoch)
            trial.should_prune()

        return train(loader, settings.width, settings.epochs, report, num_steps)

    study.optimize(lambda trial: objective(trial, _WARM_UP_STEPS), n_trials=1)

    def go() -> int:
        study.optimize(objective, n_trials=1)
        return settings.epochs

    return Prepared(
        go, "fused AdamW; the loader and its processes are kept between trials, to its advantage"
    )


if __name__ == "__main__":
    serve(prepare, ("torch", "torchvision", "optuna"))
