"""A search space's section `dataset` → `DataSettings`: where the data lie on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweep.errors import DataError
from sweep.records import DataSettings
from sweep.space import KEPT, ArraysFile, BuiltIn, DatasetSpec, ImageFolder

__all__ = ["data_settings", "default_data_dir"]


def default_data_dir() -> Path:
    """The default folder of data sets: `$SWEEP_DATA_DIR`, or `data/` if that is not set."""
    folder = os.environ.get("SWEEP_DATA_DIR") or "data"
    return Path(os.path.expanduser(folder))  # noqa: PTH111 - that of `Path` may raise


def data_settings(
    dataset: DatasetSpec,
    data_dir: str | os.PathLike[str] | None = None,
    kept: Callable[[str], Path] | None = None,
) -> DataSettings:
    """How to read a data set.

    Args:
        dataset: The section of the search space.
        data_dir: Folder of local data sets, and what the paths of own data start from; if None,
            `default_data_dir`, and the folder of the search space.
        kept: The file beside the store that keeps the arrays of this SHA-256.

    Raises:
        DataError: the arrays were given from Python, and there is no store.
    """
    split: dict[str, Any] = {"validation": dataset.validation, "split_seed": dataset.split_seed}
    if isinstance(dataset, BuiltIn):
        folder = Path(data_dir or default_data_dir())
        return DataSettings("builtin", dataset.name, str(folder), **split)
    root = Path(data_dir or dataset.relative_to or "")
    own: dict[str, Any] = {**split, "name": dataset.title, "test": dataset.test}
    if isinstance(dataset, ImageFolder):
        return DataSettings(
            "folder",
            path=_place(root, dataset.folder),
            image_size=dataset.image_size,
            channels=dataset.channels,
            **own,
        )
    if isinstance(dataset, ArraysFile):
        if not dataset.is_kept:
            return DataSettings("arrays", path=_place(root, dataset.arrays), **own)
        if kept is None:
            raise DataError(
                "the arrays of this search space were given from Python and lie beside its store"
            )
        sha256 = dataset.arrays.removeprefix(KEPT)
        return DataSettings("arrays", path=str(kept(sha256)), sha256=sha256, **own)
    return DataSettings(
        "table",
        path=_place(root, dataset.table),
        target=dataset.target,
        test_path=_place(root, dataset.test_table) if dataset.test_table else "",
        group=dataset.group or "",
        **own,
    )


def _place(root: Path, path: str) -> str:
    """A path as written in a search space, on this machine."""
    return str(root / os.path.expanduser(path))  # noqa: PTH111 - that of `Path` may raise
