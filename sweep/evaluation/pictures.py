"""Image files of a user, in the form of a data set's own images.

A file may be a stranger's: only plain picture formats are opened, and none is unpacked that would
fill the memory.
"""

from __future__ import annotations

import os
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from sweep.errors import InputError

__all__ = ["read_picture"]

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
_MAX_PIXELS = 50_000_000
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError)
"""What Pillow raises for files that are not what they seem; SyntaxError is one for PNG."""


def read_picture(path: str | os.PathLike[str], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read an image file in the size of a data set's images, grey or in colour as they are.

    What is transparent becomes black.

    Args:
        path: The file: bright strokes on a dark ground, as in MNIST.
        shape: Channels (1 for grey, 3 for red, green and blue), height and width of the data
            set's images.

    Returns:
        uint8, of this shape, from 0 for none to 255 for most of a colour.

    Raises:
        InputError: the file cannot be read as such an image.
    """
    channels, height, width = shape
    # Opening a pipe would wait for its other end. Unlike that of a Path, this question never fails.
    if not os.path.isfile(path):  # noqa: PTH113
        found = "it is no plain file" if os.path.lexists(path) else "there is no such file"
        raise InputError(f"cannot read the image {os.fspath(path)!r}: {found}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's size limit is above ours
            with Image.open(path, formats=_FORMATS) as image:
                reason = _why_not(image)
                picture = None
                if not reason:
                    picture = _convert(image, "L" if channels == 1 else "RGB").resize(
                        (width, height), Image.Resampling.BOX
                    )
    except Image.DecompressionBombError:
        reason, picture = _TOO_LARGE, None
    except MemoryError:  # a damaged length is asked for before it is found to be missing
        reason, picture = "there is not enough memory for it", None
    except _BROKEN as error:
        lines = str(error).splitlines() or [type(error).__name__]
        unknown = isinstance(error, UnidentifiedImageError)
        reason = f"it is none of {', '.join(_FORMATS)}" if unknown else lines[0]
        picture = None
    if picture is None:
        raise InputError(f"cannot read the image {os.fspath(path)!r}: {reason}")
    pixels = np.asarray(picture, np.uint8).reshape(height, width, channels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


_TOO_LARGE = f"it has more than {_MAX_PIXELS:,} pixels; make it smaller"


def _why_not(image: Image.Image) -> str:
    """Why an image, of which only the header was read, is not unpacked; empty if it is."""
    if image.width * image.height > _MAX_PIXELS:
        return _TOO_LARGE
    if image.mode not in _MODES:  # Pillow would cut off what is above 8 bits
        return f"its pixels are of mode {image.mode}; save it as grey or RGB with 8 bits"
    return ""


def _convert(image: Image.Image, mode: str) -> Image.Image:
    """Upright, on black, in this mode."""
    upright = ImageOps.exif_transpose(image).convert("RGBA")
    ground = Image.new("RGBA", upright.size, "black")
    return Image.alpha_composite(ground, upright).convert(mode)
