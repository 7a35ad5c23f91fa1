"""How many workers there are, where they run, and how many trials each trains at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import cast

from sweep.codec import unpack_labels
from sweep.data import data_settings, load_training_data, pack_data
from sweep.data.arrays import GivenArrays
from sweep.definitions import definition_of
from sweep.errors import InputError, SweepFailedError
from sweep.execution import (
    LAUNCHERS,
    MAX_LANES,
    Launcher,
    Pool,
    place_workers,
)
from sweep.execution.inspection import Inspector
from sweep.execution.ray_launcher import RayLauncher
from sweep.records import (
    Calibration,
    DataFacts,
    DataSettings,
    DataSpec,
    Model,
    NetworkSource,
    OwnNetwork,
    Slot,
    TrainingSettings,
    WorkerChoices,
)
from sweep.runner.automatic import choose_threads, full_stacks
from sweep.runner.options import WorkOptions
from sweep.runner.own_network import require_working, with_source
from sweep.runner.representatives import calibration_request, representatives, trial_flops
from sweep.space import SearchSpace, require_suited
from sweep.store import Store

__all__ = [
    "Workers",
    "choose_workers",
    "precision_option",
    "prepare_workers",
    "share_data",
    "worker_settings",
]

Measure = Callable[[str, str, int, str], Calibration | None]
"""Calibrates a machine for a device, an engine, a number of cores and a precision, if it can."""

# A study of less work takes seconds, however it is trained: measuring first would not pay.
_SMALL_FLOPS = 1e12
# Share of the budget that may be under way at once where later trials learn from earlier ones.
_SHARE_UNDER_WAY = 1 / 4
_LEARNING_SAMPLERS = ("tpe", "gp")
_PRUNERS_WITHOUT_COMPARISON = ("none", "threshold")


@dataclass(frozen=True, slots=True)
class Workers:
    """Workers that have not started yet, how they train, and the data they must see."""

    choices: WorkerChoices
    pool: Pool
    data: DataFacts


@contextmanager
def prepare_workers(
    options: WorkOptions,
    space: SearchSpace,
    recorded: WorkerChoices | None = None,
    *,
    is_new: bool = True,
    save_every: float | None = None,
    time_limit: float | None = None,
    given: GivenArrays | None = None,
    inspector: Inspector | None = None,
) -> Iterator[Workers]:
    """Check all that workers need, and read the data; at the end, end what was started.

    The first arguments are those of `choose_workers`. A trial is saved every `save_every` seconds
    (None: never) and may take `time_limit` seconds. `given` are the data, before a file keeps them.
    `inspector` tries a user's network.

    Raises:
        InputError: an option, or what is recorded, cannot be met; the space does not suit the data.
        DataError: the data are missing or damaged.
        SweepFailedError: the system refuses a process or a temporary file.
    """
    store = Store(str(options["storage"]), to_write=False)
    sources = cast("tuple[NetworkSource, ...]", options["model"] or ())
    model = with_source(space.model, sources, space.name)
    # The launcher gets ready while the data are read.
    with closing(_launcher(options, space.name, recorded)) as launcher:
        # What cannot be met is refused first.
        choose_workers(options, space, recorded, slots=launcher.slots, is_new=is_new)
        kept = store.kept_data if given is None else store.data_file
        data = data_settings(space.dataset, options["data_dir"], kept)
        facts = share_data(launcher, data, given)
        require_suited(space, facts.spec)
        space = space.on_data(facts.spec)
        if inspector is not None:
            require_working(inspector, space, facts.spec)
        measure = partial(measure_if_worthwhile, space, model, facts, inspector, launcher.calibrate)
        choices = choose_workers(
            options, space, recorded, measure, slots=launcher.slots, is_new=is_new
        )
        settings = worker_settings(space, model, choices, facts.spec)
        is_open = launcher.is_elastic and "workers" in choices.automatic
        count = None if is_open else choices.workers
        with Pool(launcher, settings, count, save_every=save_every, time_limit=time_limit) as pool:
            yield Workers(choices, pool, facts)


def measure_if_worthwhile(
    space: SearchSpace,
    model: Model,
    facts: DataFacts,
    inspector: Inspector | None,
    calibrate: Callable[..., Calibration | None],
    device: str,
    engine: str,
    num_cores: int,
    precision: str,
) -> Calibration | None:
    """The calibration for a study; None if it would take longer than it can save.

    What is known already is used for small studies, too.
    """
    if isinstance(model, OwnNetwork) and inspector is None:
        return None  # what its networks cost is found when a study is made of it
    found = representatives(space, facts.spec, inspector)
    num_validation = len(unpack_labels(facts.validation_labels, facts.spec.num_classes))
    request = calibration_request(
        found,
        model,
        facts.spec,
        device=device,
        engine=engine,
        num_cores=num_cores,
        precision=precision,
        num_validation=num_validation,
    )
    if request is None:
        return None
    num_train = facts.spec.num_pool - num_validation
    is_small = (
        space.expected_trials is not None
        and space.expected_trials * trial_flops(found, num_train) < _SMALL_FLOPS
    )
    return calibrate(request, measure=not is_small)


def share_data(launcher: Launcher, settings: DataSettings, given: GivenArrays | None) -> DataFacts:
    """Hand the training data to the workers; the driver keeps facts about them."""
    data = load_training_data(settings, given)
    launcher.share(data.fingerprint, pack_data(data))
    return data.facts


def choose_workers(
    options: WorkOptions,
    space: SearchSpace,
    recorded: WorkerChoices | None = None,
    measure: Measure = lambda *_: None,
    *,
    slots: Callable[[int | None], Sequence[Slot]] | None = None,
    is_new: bool = True,
) -> WorkerChoices:
    """Decide how a study is trained: by the options, else as recorded, else automatically.

    `options` are complete; `recorded` are the study's choices or, for a new one, those of the
    search that it confirms. An automatic choice is made again for a new study, on another kind of
    device, or if a choice on which it depends has changed; it then follows from what `measure`
    returns. `slots` are a launcher's; this machine's if None.

    Raises:
        InputError: an option, or what is recorded, cannot be met.
    """
    slots = slots or partial(place_workers, options["device"])
    here = slots(None)
    if not here:
        raise InputError("the nodes of the cluster have left before the study could begin")
    node = here[0].node
    kind = here[0].device.split(":")[0]
    engine = _engine(options["engine"] or (recorded.engine if recorded else "auto"), space.model)
    precision = options["precision"] or (recorded.precision if recorded else "auto")
    num_cores = sum(slot.node == node for slot in here)
    machine = _Machine(partial(measure, here[0].device, engine, num_cores, precision))
    numbers = _Numbers(options, recorded)
    former = recorded if not is_new and recorded and recorded.device == kind else None
    if precision == "auto":
        precision = machine.precision
    is_cpu = kind == "cpu"  # elsewhere threads hardly matter

    def suitable_workers() -> int:
        # On a cluster, the resources of a worker say how many threads it has.
        is_free = is_cpu and len(here) > 1 and not node and not isinstance(options["threads"], int)
        return len(here) // machine.threads if is_free else len(here)

    # A number above what suits this machine was chosen for a larger one.
    holds = former is not None and not node
    workers = numbers.choose("workers", suitable_workers, holds=holds, most=len(here))
    share = slots(workers)[0].num_threads
    same = former is not None and former.workers == workers
    threads = numbers.choose("threads", lambda: share, holds=same and is_cpu, most=share)
    # Lanes of another engine, or in another precision, say nothing.
    alike = former if former and (former.engine, former.precision) == (engine, precision) else None
    same = same and alike is not None
    suitable_lanes = 1 if engine == "sequential" else _most_lanes(space, kind, workers)
    lanes = numbers.choose("lanes", lambda: suitable_lanes, holds=same)
    _require_lanes(engine, lanes)
    if "lanes" in numbers.automatic and lanes > 1 and not same:
        machine.look()  # it says how many lanes fill a stack
    return WorkerChoices(
        workers=workers,
        threads=threads,
        engine=engine,
        precision=precision,
        lanes=lanes,
        automatic=tuple(numbers.automatic),
        device=kind,
        calibration=machine.calibration or (alike.calibration if alike else None),
    )


class _Numbers:
    """The numbers of `WorkerChoices`: told, recorded, or `automatic`, whose names it collects."""

    def __init__(self, options: WorkOptions, recorded: WorkerChoices | None) -> None:
        self._options = options
        self._recorded = recorded
        self.automatic: list[str] = []

    def choose(
        self, name: str, suitable: Callable[[], int], *, holds: bool, most: float = math.inf
    ) -> int:
        """The number of that name; `holds`: an earlier automatic choice, up to `most`, suits."""
        option = self._options[name]  # type: ignore[literal-required]
        if isinstance(option, int):
            return option
        known = 0
        if self._recorded is not None and option is None:
            known = int(getattr(self._recorded, name))
            if name not in self._recorded.automatic:
                return known
        self.automatic.append(name)
        return known if holds and 0 < known <= most else suitable()


class _Machine:
    """What automatic choices follow from, measured only when one is made."""

    def __init__(self, measure: Callable[[], Calibration | None]) -> None:
        self._measure = measure
        self._has_looked = False
        self.calibration: Calibration | None = None

    def look(self) -> Calibration | None:
        """The machine's calibration, if it can be had."""
        if not self._has_looked:
            self._has_looked = True
            self.calibration = self._measure()
        return self.calibration

    @property
    def precision(self) -> str:
        """The precision to train in; float32 if nothing is known."""
        found = self.look()
        return "float32" if found is None else found.precision

    @property
    def threads(self) -> int:
        """CPU threads of a worker; 1 if nothing is known."""
        found = self.look()
        return 1 if found is None else choose_threads(found)


def _engine(choice: str, model: Model) -> str:
    """The engine; `auto` is stacked: up to 10% slower with one lane, faster with several."""
    definition = definition_of(model)
    can_stack = definition.stack_key is not None
    if choice == "auto":
        return "stacked" if can_stack else "sequential"
    if choice == "stacked" and not can_stack:
        raise InputError(
            f"model {definition.name} is trained one by one; use --engine sequential, or auto"
        )
    return choice


def _require_lanes(engine: str, lanes: int) -> None:
    if engine == "sequential" and lanes != 1:
        raise InputError(
            f"the sequential engine trains one trial at a time; found lanes {lanes}; use --engine "
            "stacked, or --lanes 1"
        )


def _most_lanes(space: SearchSpace, kind: str, num_workers: int) -> int:
    """As many as pay, but few enough for the search to learn from earlier trials."""
    learns = (
        space.sampler.type in _LEARNING_SAMPLERS
        or space.pruner.type not in _PRUNERS_WITHOUT_COMPARISON
    )
    if not learns or space.expected_trials is None:
        return MAX_LANES[kind]
    under_way = math.ceil(space.expected_trials * _SHARE_UNDER_WAY / num_workers)
    return min(MAX_LANES[kind], max(2, under_way))


def precision_option(name: str) -> str:
    """The option for a recorded precision: on a GPU, float32 becomes tf32."""
    return {"": "auto", "tf32": "float32"}.get(name, name)


def worker_settings(
    space: SearchSpace, model: Model, choices: WorkerChoices, spec: DataSpec
) -> TrainingSettings:
    """The settings that all workers share; `model` is the space's, with code that may be run."""
    return TrainingSettings(
        model=model,
        spec=spec,
        order_seed=space.seed,
        objective=space.trial_objective,
        device=choices.device,
        num_sharing=1,
        num_threads=choices.threads,
        engine=choices.engine,
        precision=choices.precision,
        lanes=choices.lanes,
        full_stacks=full_stacks(choices),
        rungs=space.rungs,
    )


def _launcher(options: WorkOptions, study: str, recorded: WorkerChoices | None) -> Launcher:
    executor = options["executor"]
    if executor != "ray":
        for name in ("ray_address", "worker_resources"):
            if options[name]:
                raise InputError(f"{name} goes with executor ray; found executor {executor!r}")
    try:
        if not isinstance(executor, str):
            return executor()
        if executor == "ray":
            workers = options["workers"]
            if workers is None and recorded is not None and "workers" not in recorded.automatic:
                workers = recorded.workers
            return RayLauncher(
                study,
                options["ray_address"],
                cast("Mapping[str, float] | None", options["worker_resources"]),  # as it was read
                device=options["device"],
                most=workers if isinstance(workers, int) else None,
            )
        if executor not in LAUNCHERS:
            names = ", ".join([*LAUNCHERS, "ray"])
            raise InputError(f"executor must be one of {names}; found {executor!r}")
        return LAUNCHERS[executor](options["device"])
    except OSError as error:
        raise SweepFailedError(
            f"no process for workers can be started: {error.strerror or error}"
        ) from error
