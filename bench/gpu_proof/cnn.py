"""Trial-epochs per second of the CNN, which is trained one network at a time."""

from __future__ import annotations

from gpu_proof.findings import PASSED, Found, Setting
from gpu_proof.training import config
from gpu_proof.workbench import batches_of, time_epoch

_NETWORKS = ({}, {"channels": 32}, {"pooling": "stride"})


def prove(setting: Setting) -> Found:
    """Measure a few networks."""
    batches = batches_of(setting)
    rates = {}
    for changes in _NETWORKS[: 1 if setting.small else None]:
        configs = [config(0, "cnn", **changes)]
        seconds = 0.02 if setting.small else 1.5
        name = ", ".join(f"{name} {value}" for name, value in changes.items()) or "defaults"
        epoch = time_epoch("sequential", configs, batches, "cnn", seconds)
        rates[name] = epoch.trial_epochs_per_second
    words = ", ".join(f"{name}: {rate:.2g}" for name, rate in rates.items())
    return Found(PASSED, f"trial-epochs/s with {words}", {"rates": rates})
