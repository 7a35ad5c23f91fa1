"""The commands of `sweep`."""

from __future__ import annotations

import atexit
import gc
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sweep.cli.arguments import (
    cluster_words,
    confirm_options,
    data_dir_option,
    given,
    json_option,
    model_option,
    same_places,
    space_argument,
    storage_option,
    study_argument,
    trial_number,
    work_options,
)
from sweep.cli.completion import COMPLETE_VARIABLE, SHELLS, complete_study
from sweep.cli.exits import (
    FAILED,
    INPUT,
    fail,
    handle_errors,
    interruptible,
    output,
    print_result,
    remark,
    require_output,
)
from sweep.cli.layout import laid_out, room
from sweep.cli.network_commands import export, predict
from sweep.cli.streams import open_streams
from sweep.errors import ForeignStudyError, InputError, StoreError
from sweep.provenance import __version__
from sweep.words import DEFAULT_STORAGE, command_words, printable

if TYPE_CHECKING:
    from sweep.cli.progress import Tally

__all__ = ["main"]

_OBJECTS_BETWEEN_COLLECTIONS = 100_000


def main() -> None:
    """Entry point of the command `sweep`."""
    # Looking for garbage takes a third of a short command: among all that is imported, and at the
    # end, when everything goes anyway.
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    atexit.register(_leave_garbage)
    open_streams()
    try:
        code = cli.main(standalone_mode=False, complete_var=COMPLETE_VARIABLE)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(INPUT)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "sweep"
        fail(f"{error.format_message()} (see `{command} --help`)", INPUT)
    except click.ClickException as error:
        fail(error.format_message(), INPUT)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    require_output()  # help, for one, is click's to print
    sys.exit(code if isinstance(code, int) else 0)


def _leave_garbage() -> None:
    if "torch" not in sys.modules:  # its bindings call what is left a leak
        gc.freeze()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sweep")
def cli() -> None:
    """Hyperparameter sweeps for small networks: YAML in, honest report out."""


cli.add_command(export)
cli.add_command(predict)


@cli.command()
@space_argument
@click.option("--study", metavar="NAME", help="Name of the study; the space's own if unset.")
@click.option("--seed", type=int, help="Seed, in place of the sampler's.")
@work_options
def run(space: Path, **options: Any) -> int:
    """Run the sweep that a YAML file describes.

    A study that exists already with the same search space continues where it stopped.
    """
    return _work("run", space, options)


@cli.command()
@study_argument
@click.option(
    "--retry-failed",
    is_flag=True,
    help="Run failed trials again, under new numbers and beyond the total.",
)
@work_options
def resume(study: str, **options: Any) -> int:
    """Finish a study. The search space is in the store; --trials is the new total."""
    return _work("resume", study, options)


@contextmanager
def _early_server(executor: str) -> Iterator[None]:
    """Context whose workers' server loads PyTorch from now on, beside the driver's imports."""
    from sweep.execution.forking import early_server

    with early_server() if executor == "processes" else nullcontext():
        yield


def _work(command: str, what: Path | str, options: dict[str, Any]) -> int:
    """Run or resume: progress on standard error, the result on standard output."""
    words = same_places(options["storage"], options["data_dir"], options["model"])
    tally: Tally | None = None

    def next_step() -> str:
        if tally is None or tally.study is None:
            return "no trial was started"
        name = shlex.quote(tally.study)
        there = words + cluster_words(options)
        return f"what was finished is in the store. Next: sweep resume {name}{there}"

    server = _early_server(options["executor"])
    with handle_errors(next_step), interruptible(next_step) as interruption, server:
        # The imports take a second, in which a signal may come.
        from sweep.cli.progress import Progress
        from sweep.cli.study_text import nothing_to_do, summarize
        from sweep.runner import sweeps

        with Progress() as progress:
            tally = progress.tally
            work = getattr(sweeps, command)
            study = work(
                what, on_event=progress.on_event, stop=interruption.requested, **given(options)
            )
    command = command_words("show", study.name, options["storage"])
    width = room(sys.stdout)
    if tally.study is None:
        said = nothing_to_do(study, words, names_model=options["model"] is not None)
        text = laid_out([said], width)
    else:
        text = summarize(study, tally.seconds, options["storage"], words, width)
    print_result(text, kept=f"the study is in the store: `{command}` shows it")
    return 0 if study.best is not None else FAILED


@cli.command()
@study_argument
@json_option
@confirm_options
def confirm(study: str, as_json: bool, **options: Any) -> None:
    """Train a finished study's best configurations again on fresh seeds.

    The test split is opened at the very end, for the winner alone. The runs are a study of their
    own, STUDY.confirm. After an interruption, the same command continues.
    """
    words = shlex.quote(study) + same_places(
        options["storage"], options["data_dir"], options["model"]
    )
    of_front = " --front" if options["front"] else ""

    def next_step() -> str:
        there = words + of_front + cluster_words(options)
        return f"what was finished is in the store. Next: sweep confirm {there}"

    with handle_errors(next_step), interruptible(next_step) as interruption:
        from sweep import fresh_seeds
        from sweep.cli.answer_text import confirmation_text
        from sweep.cli.json_output import confirmation_json
        from sweep.cli.progress import Progress

        with Progress() as progress:
            found = fresh_seeds.confirm(
                study, on_event=progress.on_event, stop=interruption.requested, **given(options)
            )
    text = output(
        as_json,
        lambda: confirmation_json(study, found),
        lambda width: laid_out(
            [confirmation_text(study, found, width), f"next: sweep report {words}"], width
        ),
    )
    print_result(text, kept=f"the confirmation is in the store: `sweep confirm {words}` shows it")


@cli.command()
@click.argument(
    "studies", metavar="STUDY...", nargs=-1, required=True, shell_complete=complete_study
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="report",
    show_default=True,
    help="Folder to write; files of an earlier report in it are replaced.",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Trials on the leaderboard.",
)
@click.option(
    "--rope",
    type=float,
    metavar="POINTS",
    help="The least difference that matters, in percentage points (nats for validation_loss). The "
    "report says how probable it is that two differ by less.",
)
@data_dir_option
@click.option(
    "--model",
    multiple=True,
    metavar="FILE.py[:NAME]",
    help="The studies' own networks, if they were made with such; may be repeated.",
)
@storage_option
def report(
    studies: tuple[str, ...],
    out: Path,
    top: int,
    rope: float | None,
    data_dir: Path | None,
    model: tuple[str, ...],
    storage: str,
) -> None:
    """Write report.html, report.json, trials.csv, epochs.csv and figures for one or more studies.

    The first report on a finished study reads the test split: for the best trial or, once the study
    is confirmed, for the runs of the winner. What was read is not read again.
    """
    with handle_errors(), interruptible(lambda: "run the report again"):
        from sweep.reporting import report as write_report

        written = write_report(
            list(studies),
            storage=storage,
            out=out,
            top=top,
            rope=rope,
            data_dir=data_dir,
            model=model or None,
        )
    for note in written.notes:
        remark(note)
    print_result(printable(str(written.html)), kept=f"the report is in {str(written.folder)!r}")


@cli.command()
@study_argument
@click.argument("trial", type=trial_number)
@click.option("--device", help="Where to train; where it was then if unset, or auto.")
@json_option
@data_dir_option
@model_option
@storage_option
def reproduce(study: str, trial: int, as_json: bool, **options: Any) -> int:
    """Train a trial again from the store alone and compare. Writes nothing.

    The exit code is 0 if every measurement is identical, otherwise 1.
    """
    with handle_errors(), interruptible(lambda: "nothing was written") as interruption:
        from sweep.cli.checks import reproduction_json, reproduction_text
        from sweep.runner import reproduction

        found = reproduction.reproduce(study, trial, stop=interruption.requested, **given(options))
    print_result(
        output(as_json, lambda: reproduction_json(found), partial(reproduction_text, found))
    )
    return 0 if found.is_identical else FAILED


@cli.command(name="list")
@json_option
@storage_option
def list_studies(as_json: bool, storage: str) -> int:
    """List the studies of a store.

    What cannot be listed is named on standard error. The exit code is 1 if a study is damaged.
    """
    from sweep.cli.json_output import study_json
    from sweep.cli.study_text import study_rows
    from sweep.store import Store

    with handle_errors():
        store = Store(storage, to_write=False)
        if not store.path.exists():
            raise InputError(f"there is no store {str(store.path)!r}; name one with --storage")
        studies, unread = [], []
        for name in store.all_names():
            try:
                studies.append(store.read_study(name))
            except StoreError as error:
                unread.append(error)
    text = output(
        as_json,
        lambda: [study_json(study, with_trials=False) for study in studies],
        partial(study_rows, studies),
    )
    if as_json or studies or not unread:
        print_result(text)
    for each in unread:
        remark(str(each))
    return FAILED if any(not isinstance(each, ForeignStudyError) for each in unread) else 0


@cli.command()
@study_argument
@click.argument("trial", type=trial_number, required=False)
@json_option
@storage_option
def show(study: str, trial: int | None, as_json: bool, storage: str) -> None:
    """Show a study, or one of its trials."""
    from sweep.cli.answer_text import answer_text
    from sweep.cli.json_output import answer_json, study_json, trial_json
    from sweep.cli.study_text import trial_text
    from sweep.reporting.reported import reported, understood
    from sweep.space import stored_space
    from sweep.store import Store

    with handle_errors():
        store = Store(storage, to_write=False)
        record = store.read_study(study)
        if trial is not None:
            found = record.trial(trial)
            is_recorded = store.trials(study).recorded_weights(trial) is not None
            kept = is_recorded and trial in record.with_weights
            text = output(
                as_json,
                lambda: trial_json(record, found, in_full=True),
                lambda width: trial_text(record, found, has_weights=kept, width=width),
            )
        else:
            runs, unused = store.read_confirmation(record)
            with understood(study):
                whole = reported(record, stored_space(record), runs)
                text = output(
                    as_json,
                    lambda: study_json(record, with_trials=True) | answer_json(whole),
                    partial(answer_text, whole, storage),
                )
            if unused is not None:
                remark(str(unused))
    print_result(text)


@cli.command()
@space_argument
@data_dir_option
@model_option
def check(space: Path, data_dir: Path | None, model: str | None) -> None:
    """Validate a search space, describe its data and estimate its cost.

    Makes no study and downloads nothing; the first time, a few training steps are timed on made-up
    examples. Test examples that also stand in the training pool are
    counted; nothing else of the test split is looked at, and it stays sealed.
    """
    with handle_errors():
        from sweep import estimate
        from sweep.cli.check_text import check_text
        from sweep.cli.progress import Progress

        with Progress():  # images may take a minute to read
            found = estimate.check(space, data_dir=data_dir, model=model)
    print_result(check_text(found, room(sys.stdout)))


@cli.command()
@study_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@storage_option
def delete(study: str, yes: bool, storage: str) -> None:
    """Delete a study for good, with its confirmation, weights and checkpoints. Asks first."""
    from sweep.cli.study_text import deletion_text
    from sweep.runner.deletion import delete as delete_study
    from sweep.runner.deletion import plan_deletion
    from sweep.store import Store

    with handle_errors(), interruptible(lambda: "nothing was deleted"):
        if not yes:
            planned = plan_deletion(Store(storage, to_write=False), study)
            if not sys.stdin.isatty():
                raise InputError(
                    f"this deletes {deletion_text(planned)}, and nobody can be asked: give --yes"
                )
            question = printable(f"delete {deletion_text(planned)} for good?")
            if not click.confirm(question, err=True):
                raise InputError("nothing was deleted")
        deleted = delete_study(study, storage=storage)
    print_result(laid_out([f"deleted {deletion_text(deleted)}"], room(sys.stdout)))


@cli.command()
@click.argument("store", metavar="[STORE]", default=DEFAULT_STORAGE, type=click.Path())
@json_option
def doctor(store: str, as_json: bool) -> int:
    """Examine a store, given by its path or URL, and advise what to do. Changes nothing.

    The exit code is 1 if something is damaged.
    """
    with handle_errors():
        from sweep.cli.checks import examination_json, examination_text
        from sweep.store import examine

        found = examine(store if "://" in store else f"sqlite:///{store}")
    print_result(output(as_json, lambda: examination_json(found), partial(examination_text, found)))
    return FAILED if found.is_damaged else 0


@cli.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print a script with which a shell completes commands, options, files and studies.

    In ~/.bashrc: eval "$(sweep completion bash)", and likewise in ~/.zshrc. For fish:
    sweep completion fish > ~/.config/fish/completions/sweep.fish.
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None  # noqa: S101 - for the type checker: these three are click's own
    print_result(made(cli, {}, "sweep", COMPLETE_VARIABLE).source())
