"""The commands that use a study's chosen network: `predict` and `export`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from sweep.cli.arguments import (
    data_dir_option,
    json_option,
    model_option,
    storage_option,
    study_argument,
    trial_number,
)
from sweep.cli.exits import handle_errors, interruptible, output, print_result, remark
from sweep.cli.layout import Entries, laid_out
from sweep.words import counted, printable

__all__ = ["export", "predict"]

_trial_option = click.option("--trial", type=trial_number, help="Use the network of this trial.")


@click.command()
@study_argument
@click.argument("inputs", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@_trial_option
@click.option(
    "--invert/--no-invert",
    default=None,
    help="Exchange bright and dark; if unset, where a grey image's ground is not the data set's.",
)
@json_option
@data_dir_option
@model_option
@storage_option
def predict(study: str, inputs: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Classify images, folders of them, tables or arrays with a study's chosen network.

    That is the best trial's, or the best run's of the winner once the study is confirmed. The files
    are of the kind that the study was made with. Images are resized to the data set's, made grey
    where those are, and inverted if they are dark on bright and those are bright on dark. A table
    (.csv, .parquet) needs the columns that the network uses, and not the target; arrays are .npy
    files, or x in .npz files. Rows are counted from 0.
    """
    with handle_errors(), interruptible(lambda: "nothing was written"):
        from sweep.data.telling import listening
        from sweep.evaluation import predict as predict_inputs

        notes: list[str] = []

        def listen(text: str, passing: bool) -> None:
            if not passing:
                notes.append(text)

        with listening(listen):
            found = predict_inputs(study, inputs, **options)
    for note in notes:
        remark(f"note: {note}")
    if not as_json:
        remark(f"network of trial {found[0].trial} of study {found[0].study}")
    rows = [
        [
            f"{each.file}" if each.row is None else f"{each.file} row {each.row}",
            each.class_name,
            f"{each.probability:.2%}",
            "inverted" * each.inverted,
        ]
        for each in found
    ]
    print_result(output(as_json, lambda: found, partial(laid_out, [Entries(rows)])))


@click.command()
@study_argument
@_trial_option
@click.option(
    "--format",
    default="safetensors",
    show_default=True,
    help="safetensors (weights beside plain PyTorch code), pt2 (torch.export) or onnx.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="export",
    show_default=True,
    help="Folder to write; an earlier export in it is replaced, unless it was changed.",
)
@data_dir_option
@model_option
@storage_option
def export(study: str, **options: Any) -> None:
    """Write a study's chosen network, to be used without sweep.

    The network takes raw pixels or rows, its preprocessing is inside, and it answers with
    probabilities. Beside it are model.json, which describes it, and use.py, which classifies files
    with it. What was written is loaded again and compared with the study's network on the
    validation examples. The test split stays sealed.
    """
    with handle_errors(), interruptible(lambda: "nothing was written"):
        from sweep.evaluation import export as export_network

        found = export_network(study, **options)
    for note in (
        f"network of trial {found.trial} of study {found.study}",
        f"checked on {counted(found.num_checked, 'validation example')}: the same predictions",
    ):
        remark(note)
    print_result(printable(str(found.folder)), kept=f"the export is in {str(found.folder)!r}")
