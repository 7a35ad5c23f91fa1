"""Ray Tune running the usual loop: one trial per CPU at a time, in Ray's own processes."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
import uuid

from contestants.serving import Prepared, Settings, serve

_OBJECT_STORE_BYTES = 100 * 2**20  # it holds next to nothing
_ENVIRONMENT = {
    # A token for this cluster only: Ray would keep one in the home folder.
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": uuid.uuid4().hex,
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}


def trainable(parameters: dict[str, dict[str, object]]) -> None:
    """The usual loop in one of Ray's processes; with 0 epochs it only imports what it needs."""
    import torch
    from ray import tune

    from contestants import usual_loop

    settings = Settings(**parameters["settings"])
    torch.set_num_threads(settings.threads)
    loader = usual_loop.build_loader(settings.data_dir, settings.loader_processes)
    usual_loop.train(
        loader, settings.width, settings.epochs, lambda _, loss: tune.report({"loss": loss})
    )
    if settings.epochs == 0:
        tune.report({"loss": 0.0})


def fit(settings: Settings, folder: str) -> int:
    """Run one trial per lane, all at once; return how many epochs they trained."""
    from ray import tune

    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": settings.threads}),
        param_space={"settings": dataclasses.asdict(settings)},
        tune_config=tune.TuneConfig(
            num_samples=settings.lanes, max_concurrent_trials=settings.lanes
        ),
        run_config=tune.RunConfig(storage_path=folder, verbose=0),
    )
    results = tuner.fit()
    if results.errors:
        raise results.errors[0]
    return settings.lanes * settings.epochs


def prepare(settings: Settings) -> Prepared:
    folder = tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
    os.environ |= _ENVIRONMENT  # read when Ray is imported
    import ray

    ray.init(
        num_cpus=settings.lanes * settings.threads,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=_OBJECT_STORE_BYTES,
        _temp_dir=folder.name,
    )
    nothing = dataclasses.replace(settings, epochs=0)
    fit(nothing, folder.name)
    started = time.perf_counter()
    fit(nothing, folder.name)
    seconds = time.perf_counter() - started

    def go() -> int:
        with tempfile.TemporaryDirectory(dir=folder.name) as results:
            return fit(settings, results)

    def close() -> None:
        ray.shutdown()  # ends Ray's processes before their folder is deleted
        folder.cleanup()

    note = (
        f"{settings.lanes} trials at a time, each a new process with {settings.threads} CPU that "
        f"imports PyTorch and reads the data: {seconds:.1f} s for {settings.lanes} trials of 0 "
        f"epochs, included in the {settings.epochs}-epoch trials here; starting Ray is not"
    )
    return Prepared(go, note, close)


if __name__ == "__main__":
    serve(prepare, ("ray", "torch", "torchvision"))
