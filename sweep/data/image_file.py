"""Image files → pixels, the same for training and for `predict`. No torch here.

A file may be untrusted: only plain picture formats are opened, and none that would fill the memory.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageStat, UnidentifiedImageError

from sweep.errors import InputError
from sweep.quiet import without_warnings

__all__ = ["Picture", "decode", "read_picture", "size_of_picture"]

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
_MAX_PIXELS = 50_000_000
_TOO_LARGE = f"it has more than {_MAX_PIXELS:,} pixels; make it smaller"
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError)
"""What Pillow raises for files that are not what they seem; SyntaxError is one for PNG."""
_DEEP = (";16B", ";16L", ";16N")
"""How Pillow calls the channels of 16 bits that it would cut to 8."""
_ORIENTATION = 0x0112
_ON_THE_SIDE = (5, 6, 7, 8)

File = str | os.PathLike[str] | IO[bytes]


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image.

    Attributes:
        pixels: uint8 of shape (channels, height, width); one channel if the image is grey.
        size: Height and width before it was resized.
        converted: What was converted or left out, in words that follow a number of images.
    """

    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    converted: tuple[str, ...]


def decode(file: File, *, size: tuple[int, int] | None, grey: bool) -> Picture:
    """Decode an image, turned upright; `size` is the (height, width) to which it is resized.

    What is transparent becomes black or, behind dark strokes, white. Callers keep Pillow's warnings
    back: it warns of sizes above its limit, and ours is lower.

    Raises:
        ValueError: why it is not decoded; in one line.
    """
    try:
        with Image.open(file, formats=_FORMATS) as image:
            reason = _why_not(image)
            if not reason:
                return _decode(image, size, grey)
    except Image.DecompressionBombError:
        reason = _TOO_LARGE
    except MemoryError:  # Pillow allocates what a damaged header asks for
        reason = "there is not enough memory for it"
    except UnidentifiedImageError:
        reason = f"it is none of {', '.join(_FORMATS)}"
    except _BROKEN as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
    raise ValueError(reason)


def size_of_picture(file: File) -> tuple[int, int] | None:
    """Height and width of an image, turned upright, from its header; None if that is broken."""
    try:
        with Image.open(file, formats=_FORMATS) as image:
            width, height = image.size
            is_turned = image.getexif().get(_ORIENTATION) in _ON_THE_SIDE
            return (width, height) if is_turned else (height, width)
    except (Image.DecompressionBombError, *_BROKEN):
        return None


def read_picture(path: str | os.PathLike[str], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read an image file as uint8 pixels, 0 to 255.

    Transparent ones become black or, behind dark strokes, white.

    Args:
        path: The file.
        shape: Channels (1 for grey, 3 for RGB), height and width of the result.

    Raises:
        InputError: the file cannot be read as such an image.
    """
    # Opening a pipe would wait for its other end. Unlike `Path.is_file`, this never raises.
    if not os.path.isfile(path):  # noqa: PTH113
        reason = "it is no plain file" if os.path.lexists(path) else "there is no such file"
        raise InputError(f"cannot read the image {os.fspath(path)!r}: {reason}")
    channels, height, width = shape
    try:
        with without_warnings():
            found = decode(path, size=(height, width), grey=channels == 1)
    except ValueError as error:
        raise InputError(f"cannot read the image {os.fspath(path)!r}: {error}") from None
    return np.broadcast_to(found.pixels, shape).copy()


def _why_not(image: Image.Image) -> str:
    """Why an image whose header was read is not decoded; empty if it may be."""
    if image.width * image.height > _MAX_PIXELS:
        return _TOO_LARGE
    tiles = getattr(image, "tile", ())
    if image.mode.startswith("I;16") or (tiles and str(tiles[0][3]).endswith(_DEEP)):
        return "its pixels have 16 bits; save it as grey or RGB with 8 bits"
    if image.mode not in _MODES:
        return f"its pixels are of mode {image.mode}; save it as grey or RGB with 8 bits"
    return ""


def _decode(image: Image.Image, size: tuple[int, int] | None, grey: bool) -> Picture:
    converted = []
    if getattr(image, "n_frames", 1) > 1:
        converted.append("of several frames or pages: only the first is read")
    if image.mode in ("P", "PA"):
        converted.append("with a palette: converted to grey or RGB")
    if image.mode == "CMYK":
        converted.append("in CMYK: converted to grey or RGB")
    ImageOps.exif_transpose(image, in_place=True)  # it copies otherwise
    height, width = image.height, image.width
    if image.has_transparency_data:
        converted.append("with transparency: laid on black or, if dark, on white")
        image = _opaque(image)
    plain = image.convert("L" if grey or image.mode in ("1", "L") else "RGB")
    if size is not None and plain.size != size[::-1]:
        plain = plain.resize(size[::-1], Image.Resampling.BOX)
    pixels = np.asarray(plain, np.uint8)
    pixels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    if (pixels[:1] == pixels[1:]).all():
        pixels = pixels[:1]
    return Picture(np.ascontiguousarray(pixels), (height, width), tuple(converted))


def _opaque(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    alpha = rgba.getchannel("A")
    visible = ImageStat.Stat(rgba.convert("L"), alpha)
    is_dark = any(alpha.histogram()[:255]) and visible.count[0] and visible.mean[0] < 128
    ground = Image.new("RGBA", rgba.size, "white" if is_dark else "black")
    return Image.alpha_composite(ground, rgba)
