"""Which images a folder holds: of which split and class. Opens no image."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from sweep.errors import DataError
from sweep.words import counted

__all__ = ["ImageFile", "ImageTree", "find_images"]

_SUFFIXES = {
    *(".apng", ".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png"),
    *(".pnm", ".ppm", ".tif", ".tiff", ".webp"),
}
_SPLITS = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
"""Split by the name of its folder."""
_SYSTEM_FILES = ("thumbs.db", "desktop.ini", "__macosx")


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file.

    Attributes:
        name: Its path below the folder, with `/`.
        stat: What changes whenever the file does.
    """

    path: str
    name: str
    stat: os.stat_result


@dataclass(frozen=True, slots=True)
class ImageTree:
    """The images of a folder.

    Attributes:
        class_names: Sorted; as numbers if all are.
        splits: For `train`, perhaps `validation` and `test`: the files of each class, by name.
        left_out: Files that are no images by their names; how many there are of each suffix.
    """

    class_names: tuple[str, ...]
    splits: dict[str, list[list[ImageFile]]]
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def files(self) -> list[ImageFile]:
        """All images, in the order of their splits, classes and names."""
        return [file for split in self.splits.values() for files in split for file in files]

    @property
    def signature(self) -> str:
        """SHA-256 of the names of all files and of what changes whenever a file does."""
        digest = hashlib.sha256()
        for file in self.files:
            found = file.stat
            numbers = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
            digest.update(os.fsencode(file.name) + f"\0{(*numbers, found.st_ctime_ns)}\n".encode())
        return digest.hexdigest()

    @property
    def changed_at(self) -> int:
        """When a file was changed last, in nanoseconds."""
        return max(max(file.stat.st_mtime_ns, file.stat.st_ctime_ns) for file in self.files)


def find_images(root: Path) -> ImageTree:
    """Find the images of a folder with a folder for each class, perhaps below `train` and so on.

    Raises:
        DataError: the folder is not laid out like that, or cannot be read.
    """
    return _Finder(root).find()


class _Finder:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._left_out: Counter[str] = Counter()

    def find(self) -> ImageTree:
        if not os.path.isdir(self._root):  # noqa: PTH112 - unlike `Path.is_dir`, it never raises
            what = "is no folder" if os.path.lexists(self._root) else "there is no such folder"
            advice = "if it has moved, name the folder that it is in with --data-dir"
            raise self._error(what, advice)
        folders = self._folders_of_classes(self._root)
        if any(self._split_of(each) == "train" for each in folders) or (
            folders and all(map(self._split_of, folders))
        ):
            return self._find_splits(folders)
        classes = self._find_classes(self._root, folders)
        return ImageTree(tuple(classes), {"train": list(classes.values())}, self._left_out)

    @staticmethod
    def _split_of(folder: os.DirEntry[str]) -> str | None:
        return _SPLITS.get(folder.name.casefold())

    def _find_splits(self, folders: list[os.DirEntry[str]]) -> ImageTree:
        found: dict[str, os.DirEntry[str]] = {}
        for folder in folders:
            split = self._split_of(folder)
            if split is None:
                raise self._error(
                    f"{folder.name!r} lies beside 'train' and is no split",
                    "move it, or rename 'train' if that is a class",
                )
            if split in found:
                raise self._error(
                    f"{found[split].name!r} and {folder.name!r} are both for the {split} split",
                    "keep one",
                )
            found[split] = folder
        if "train" not in found:
            raise self._error(
                f"has {', '.join(repr(each.name) for each in folders)} and no 'train'",
                "give it a 'train' with a folder for each class",
            )
        splits = {}
        for split in ("train", "validation", "test"):
            if split in found:
                place = Path(found[split].path)
                splits[split] = self._find_classes(place, self._folders_of_classes(place))
        names = tuple(splits["train"])
        for split, classes in splits.items():
            for name in (name for name in classes if name not in names):
                raise self._error(
                    f"class {name!r} has images in {found[split].name!r} and none in "
                    f"{found['train'].name!r}",
                    "add some, or leave the class out",
                )
            for name in (name for name in names if name not in classes):
                raise self._error(
                    f"class {name!r} has no images in {found[split].name!r}",
                    "add some, or leave the class out of all splits",
                )
        return ImageTree(
            names,
            {split: [classes[name] for name in names] for split, classes in splits.items()},
            self._left_out,
        )

    def _find_classes(
        self, parent: Path, folders: list[os.DirEntry[str]]
    ) -> dict[str, list[ImageFile]]:
        """The files of each class, by name."""
        if not folders:
            raise self._error("has no folder of a class", "make one for each class", parent)
        names = [folder.name for folder in folders]
        if len(names) == 1:
            raise self._error(
                f"has one class, {names[0]!r}", "a network needs two to tell apart", parent
            )
        alike: dict[str, str] = {}
        for name in names:
            if not name.isprintable():
                raise self._error(
                    f"the name of the class {name!r} is not valid text", "rename its folder", parent
                )
            other = alike.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
            if other != name:
                raise self._error(
                    f"the classes {other!r} and {name!r} differ in case or accents' encoding only",
                    "rename or join them",
                    parent,
                )
        return {name: self._find_files(parent / name) for name in _in_order(names)}

    def _find_files(self, folder: Path) -> list[ImageFile]:
        before = self._left_out.total()
        inner, files = self._list(folder)
        if inner:
            raise self._error(
                f"has a folder of its own, {inner[0].name!r}",
                "images lie directly in the folder of their class",
                folder,
            )
        if not files:
            others = self._left_out.total() - before
            found = f", only {counted(others, 'file')} of other kinds" if others else ""
            advice = "add some, or remove the folder if it is no class"
            raise self._error(f"has no image that can be read{found}", advice, folder)
        return files

    def _folders_of_classes(self, folder: Path) -> list[os.DirEntry[str]]:
        """Folders in a folder that holds no image itself."""
        folders, files = self._list(folder)
        if files:
            raise self._error(
                f"{counted(len(files), 'image')}, such as {Path(files[0].path).name!r}, "
                f"{'lies' if len(files) == 1 else 'lie'} in no folder of a class",
                "move each into the folder of its class",
                folder,
            )
        return folders

    def _list(self, folder: Path) -> tuple[list[os.DirEntry[str]], list[ImageFile]]:
        """The folders and the images in a folder, without hidden ones; others are counted."""
        folders, files = [], []
        prefix = "".join(f"{part}/" for part in folder.relative_to(self._root).parts)
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
            for entry in found:
                if entry.name.startswith(".") or entry.name.casefold() in _SYSTEM_FILES:
                    continue
                if entry.is_symlink():
                    self._require_inside(Path(entry.path))
                suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - many files
                if entry.is_dir():
                    folders.append(entry)
                elif suffix not in _SUFFIXES:
                    self._left_out[suffix or "no suffix"] += 1
                elif entry.is_file():
                    files.append(ImageFile(entry.path, prefix + entry.name, entry.stat()))
                else:
                    raise self._error("is no plain file", "remove it", Path(entry.path))
        except OSError as error:
            path = folder if error.filename is None else Path(os.fsdecode(error.filename))
            reason = f"cannot be read: {error.strerror or error}"
            raise self._error(reason, "change its permissions, or remove it", path) from None
        return folders, files

    def _require_inside(self, link: Path) -> None:
        try:
            target = Path(os.path.realpath(link, strict=True))
        except OSError:
            raise self._error("is a link that leads nowhere", "remove it", link) from None
        if not target.is_relative_to(os.path.realpath(self._root)):
            what = f"is a link that leaves the folder, to {str(target)!r}"
            raise self._error(what, "copy what it leads to", link)

    def _error(self, found: str, advice: str, path: Path | None = None) -> DataError:
        return DataError(f"{str(path or self._root)!r}: {found}; {advice}")


def _in_order(names: list[str]) -> list[str]:
    """Sorted; as numbers if all are."""
    if all(name.isascii() and name.isdecimal() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)
