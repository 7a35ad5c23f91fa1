"""Images in a folder for each class. They are decoded once, and then come from the cache."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL

from sweep.data import cache
from sweep.data.holding_out import hold_out_test
from sweep.data.image_decoding import content_of, decode_images
from sweep.data.image_tree import ImageTree, find_images
from sweep.data.parts import Part, Pool
from sweep.data.telling import tell
from sweep.errors import DataError
from sweep.records import DataSettings

__all__ = ["ImageFolder"]

_FORMAT = 1  # of what is cached; another one if images are read or decoded otherwise
_SETTLED_NS = 2 * 10**9  # a file may change again without a sign within its clock's resolution


class ImageFolder:
    """A folder of images, a `sweep.data.sources.DataSource`."""

    def __init__(self, settings: DataSettings) -> None:
        self._settings = settings

    def pool(self) -> Pool:
        """What is there for training and validation."""
        tree, entry = self._read(["train", "validation"])
        examples = _part(tree, entry, "train")
        notes = (*_left_out(tree), *entry.facts["notes"])
        if "test" in tree.splits:
            num_test = sum(map(len, tree.splits["test"]))
        else:
            held_out, more = hold_out_test(self._settings, examples.labels, tree.class_names)
            notes += more
            num_test = int(held_out.sum())
            examples = examples.take(np.flatnonzero(~held_out))
        return Pool(
            examples,
            tree.class_names,
            num_test,
            _part(tree, entry, "validation") if "validation" in tree.splits else None,
            content=entry.facts["content"],
            notes=notes,
        )

    def test(self) -> Part:
        """The test part."""
        tree, entry = self._read(["train", "test"])
        if "test" in tree.splits:
            return _part(tree, entry, "test")
        examples = _part(tree, entry, "train")
        held_out, _ = hold_out_test(self._settings, examples.labels, tree.class_names)
        return examples.take(np.flatnonzero(held_out))

    def _read(self, splits: Sequence[str]) -> tuple[ImageTree, cache.Entry]:
        """What there is, and the pixels of these splits."""
        settings, root = self._settings, Path(self._settings.path)
        started = time.time_ns()
        tree = find_images(root)
        if settings.test is not None and "test" in tree.splits:
            raise DataError(f"{settings.name} has a test split of its own: leave out dataset.test")
        form = [_FORMAT, PIL.__version__, settings.image_size, settings.channels]
        signature = _digest([tree.signature, *form])
        entry = cache.find(signature, splits)
        if entry is not None:
            return tree, entry
        content = content_of(settings.name, tree.files)
        key = _digest([content, *form])
        entry = cache.load(key, splits)
        if entry is None:
            entry = self._decode(tree, content)
            problem = cache.store(key, entry)
            if problem:
                tell(f"the images of {settings.name} are decoded again by each worker: {problem}")
        if find_images(root).signature != tree.signature:
            raise DataError(f"{settings.path!r}: changed while it was read; run the command again")
        if started - tree.changed_at > _SETTLED_NS:
            cache.remember(signature, key)
        return tree, entry

    def _decode(self, tree: ImageTree, content: str) -> cache.Entry:
        settings = self._settings
        pixels, notes = decode_images(
            settings.name, tree.files, settings.image_size, settings.channels
        )
        sizes = [sum(map(len, classes)) for classes in tree.splits.values()]
        parts = np.split(pixels, np.cumsum(sizes)[:-1])
        arrays = dict(zip(tree.splits, parts, strict=True))
        return cache.Entry({"content": content, "notes": notes}, arrays)


def _part(tree: ImageTree, entry: cache.Entry, split: str) -> Part:
    counts = [len(files) for files in tree.splits[split]]
    return Part(entry.arrays[split], np.repeat(np.arange(len(counts)), counts))


def _left_out(tree: ImageTree) -> list[str]:
    """A sentence on the files that are no images by their names, if there are any."""
    number = tree.left_out.total()
    if not number:
        return []
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in tree.left_out.most_common(5))
    return [f"{number} file{'' if number == 1 else 's'} left out, no image by its name: {kinds}"]


def _digest(values: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()
