"""A worker that gets no more memory: its trial fails as data, the next one finds a worker."""

from __future__ import annotations

import time

import pytest
from helpers import children, make_config, make_settings
from launcher_contract import with_digits

from sweep.execution import ForkServer, Pool, ProcessLauncher
from sweep.records import (
    Decision,
    Epoch,
    FailureKind,
    Lost,
    TrialConfig,
    TrialOutcome,
    TrialState,
    WorkerReady,
)

resource = pytest.importorskip("resource")
pytestmark = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit")

PATIENCE = 600
SPARE = 40 * 2**20


def ending(pool: Pool, config: TrialConfig) -> TrialOutcome | Lost:
    pool.submit(config)
    pool.flush()
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for message in pool.messages(0.2):
            if isinstance(message, Epoch):
                pool.decide(message.metrics, [Decision.CONTINUE] * len(message.metrics))
            if isinstance(message, TrialOutcome | Lost):
                return message
    raise AssertionError("nothing happened")


def address_space(pid: int) -> int:
    with open(f"/proc/{pid}/status") as lines:  # noqa: PTH123 - not a file
        size = next(line for line in lines if line.startswith("VmSize:"))
    return int(size.split()[1]) * 1024


@pytest.mark.parametrize("engine", ["sequential", "stacked"])
def test_too_little_memory_fails_a_trial_and_not_the_worker(fork_server: ForkServer, engine):
    server = fork_server._process.pid
    before = children(server)
    launcher = with_digits(ProcessLauncher(server=fork_server))
    with Pool(launcher, make_settings(engine=engine), 1) as pool:
        pool.start()
        while not any(isinstance(m, WorkerReady) for m in pool.messages(1)):
            pass
        small = make_config(number=0, epochs=1, layer_size=16)
        assert ending(pool, small).state is TrialState.COMPLETE
        (worker,) = children(server) - before
        limit = address_space(worker) + SPARE
        resource.prlimit(worker, resource.RLIMIT_AS, (limit, limit))

        large = make_config(number=1, epochs=1, num_layers=4, layer_size=4096)
        failed = ending(pool, large)
        assert isinstance(failed, TrialOutcome), failed
        assert failed.state is TrialState.FAIL
        assert failed.failure.kind is FailureKind.OUT_OF_MEMORY
        assert "memory" in failed.failure.reason

        after = ending(pool, make_config(number=2, epochs=1, layer_size=16))
        assert after.state is TrialState.COMPLETE
        assert children(server) - before == {worker}, "the worker has survived"
