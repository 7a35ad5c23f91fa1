"""The files that an export holds beside the network: plain code that runs without this package."""

from __future__ import annotations

from collections.abc import Mapping

from sweep.data import TrainingData
from sweep.definitions import Scalar
from sweep.records import DataSpec, NetworkSource

__all__ = ["FILES", "OWN_NETWORK", "network_script", "own_network_call", "use_script"]

FILES = {"safetensors": "model.safetensors", "pt2": "model.pt2", "onnx": "model.onnx"}
"""Names of the file with the network, by format."""

OWN_NETWORK = "own_network.py"
"""The copy of a user's own file."""

_NETWORK = '''"""The network and its preprocessing in plain PyTorch: raw inputs → probabilities."""

from __future__ import annotations

{imports}from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn


{classes}

def build() -> nn.Sequential:
    """The network; its weights are not the trained ones."""
    return {expression}


def load() -> nn.Sequential:
    """The trained network, for use."""
    network = build()
    weights = load_file(Path(__file__).with_name("model.safetensors"))
    network.load_state_dict(weights, assign=True)
    return network.eval()
'''

_USE = '''"""Classify {what}: python use.py {metavar}... (needs {packages})"""

{imports}

HERE = Path(__file__).parent
ABOUT = json.loads((HERE / "model.json").read_text(encoding="utf-8"))
{load}


{read}

{classify}

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for path in sys.argv[1:]:
        try:
            inputs = read(path)
        except Exception as error:
            sys.exit(f"{{path}}: {{getattr(error, 'strerror', None) or error}}")
        for row, probabilities in enumerate(classify(inputs)):
            best = probabilities.argmax()
            print({place}, ABOUT["classes"][best], f"{{probabilities[best]:.2%}}")
'''

_LOAD = {
    "safetensors": 'NETWORK = runpy.run_path(str(HERE / "network.py"))["load"]()',
    "pt2": 'NETWORK = torch.export.load(str(HERE / "model.pt2")).module()',
    "onnx": 'SESSION = onnxruntime.InferenceSession(str(HERE / "model.onnx"))',
}

_TORCH = '''@torch.no_grad()
def classify(inputs):
    """Probabilities of the classes, shape (N, classes)."""
    return NETWORK(torch.from_numpy(inputs)).numpy()
'''
_CLASSIFY = {
    "safetensors": _TORCH,
    "pt2": _TORCH,
    "onnx": '''def classify(inputs):
    """Probabilities of the classes, shape (N, classes)."""
    return SESSION.run(["probabilities"], {"inputs": inputs})[0]
''',
}

_PICTURE = '''def read(path):
    """A picture, upright and resized: uint8, shape (1, {channels}, {height}, {width})."""
    picture = ImageOps.exif_transpose(Image.open(path))
    if picture.mode.startswith(("I", "F")):
        raise ValueError(f"must have pixels of 8 bits; found those of mode {{picture.mode}}")
    picture = picture.convert("{mode}").resize(({width}, {height}), Image.Resampling.BOX)
    pixels = np.asarray(picture).reshape({height}, {width}, {channels}).transpose(2, 0, 1)
    return np.rint(pixels[None] * (ABOUT["input"]["white"] / 255)).astype(np.uint8)
'''

_ARRAYS = '''def read(path):
    """Rows of an .npy file as float32, shape (N, {columns})."""
    with open(path, "rb") as file:
        rows = np.lib.format.read_array(file)
    if rows.dtype.kind not in "biuf" or rows.shape[1:] != ({columns},) or not len(rows):
        raise ValueError(
            f"must hold numbers of shape (N, {columns}); found {{rows.dtype}}, {{rows.shape}}"
        )
    with np.errstate(over="ignore"):
        made = rows.astype(np.float32)
    wrong = np.argwhere(~np.isfinite(made))
    if len(wrong):
        row, column = place = tuple(wrong[0])
        raise ValueError(f"row {{row}}, column {{column}}: must be finite; found {{rows[place]}}")
    return made
'''

_TABLE = r'''NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
WITH_COMMA = re.compile(r"[+-]?\d+(,\d+)*(e[+-]?\d+)?", re.IGNORECASE)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{{0,2}}([.,])\d{{3}}(\1\d{{3}})*")
MISSING = ABOUT["input"]["missing"]
NONE = {{*MISSING, *ABOUT["input"]["missing_numbers"]}}
LARGEST = float(np.finfo(np.float32).max)


def read(path):
    """Rows of a CSV file: numbers, then codes of categories; float64, shape (N, {columns})."""
    text = Path(path).read_bytes().decode("utf-8-sig")  # which leaves the ends of lines alone

    def lines(separator, strict):
        file = io.StringIO(text, newline="")
        found = csv.reader(file, delimiter=separator, skipinitialspace=True, strict=strict)
        cells = ([cell.strip() for cell in line] for line in found)
        return (line for line in cells if len(line) > 1 or any(line))

    separator = max(",;\t|", key=lambda each: len(next(lines(each, False), "")))
    header, *rows = [*lines(separator, True)] or [[]]
    if "\0" in text or not rows:
        raise ValueError(f"must be a header and rows of text; found {{text[:40]!r}}")
    if "" in header or len({{*header}}) < len(header):
        raise ValueError(f"the header must name each column once; found {{header}}")
    for row, line in enumerate(rows):
        if len(line) != len(header):
            raise ValueError(f"row {{row}} must have {{len(header)}} values; found {{len(line)}}")
    table = dict(zip(header, zip(*rows)))
    has_commas = any(map(shows_commas, table.values()))
    encoded = []
    for column in ABOUT["input"]["columns"]:
        name = column["name"].strip()
        if name not in table:
            raise ValueError(f"must have a column {{name!r}}; found {{header}}")
        if "categories" in column:
            codes = column["categories"] | dict.fromkeys(MISSING, column["missing"])
            encoded.append([codes.get(cell, column["other"]) for cell in table[name]])
        else:
            encoded.append(numbers(name, table[name], has_commas))
    return np.array(encoded, np.float64).T


def shows_commas(cells):
    """Whether these are numbers, and a comma among them can only be a decimal one."""
    known = [cell for cell in cells if cell not in NONE]
    is_number = all(map(WITH_COMMA.fullmatch, known))
    return is_number and any("," in cell and not THOUSANDS.fullmatch(cell) for cell in known)


def numbers(name, cells, has_commas):
    """Cells as numbers, NaN where they are missing."""
    known = [cell for cell in cells if cell not in NONE]
    points = [cell for cell in known if "." in cell]
    if has_commas and points and all(map(THOUSANDS.fullmatch, points)):
        raise ValueError(f"column {{name!r}}: {{points[0]!r}} can be read in two ways")
    if has_commas and all(map(WITH_COMMA.fullmatch, known)):
        cells = [cell.replace(",", ".") for cell in cells]
    for row, cell in enumerate(cells):
        is_number = NUMBER.fullmatch(cell) and abs(float(cell)) <= LARGEST
        if not (is_number or cell in NONE):
            raise ValueError(f"row {{row}}, column {{name!r}}: must be a number; found {{cell!r}}")
    return [np.nan if cell in NONE else float(cell) for cell in cells]
'''


def own_network_call(source: NetworkSource, spec: DataSpec, params: Mapping[str, Scalar]) -> str:
    """The expression with which `network.py` builds a user's own network."""
    file = f'Path(__file__).with_name("{OWN_NETWORK}")'
    given = "".join(f", {name}={value!r}" for name, value in params.items())
    arguments = f"{spec.input_shape!r}, {spec.num_classes}{given}"
    return f"runpy.run_path(str({file}))[{source.function!r}]({arguments})"


def network_script(classes: str, expression: str) -> str:
    """`network.py`: what `sweep.evaluation.packaging.network_code` says, and how to load it."""
    imports = "import runpy\n" if "runpy." in expression else ""
    return _NETWORK.format(classes=classes, expression=expression, imports=imports)


def use_script(file_format: str, data: TrainingData) -> str:
    """`use.py`, which classifies files of the data set's kind."""
    plain, packages = {"json", "sys"}, ["numpy"]
    imports = ["import numpy as np"]
    if file_format == "onnx":
        imports.append("import onnxruntime")
        packages.append("onnxruntime")
    else:
        imports.append("import torch")
        packages.append("torch")
    if file_format == "safetensors":
        plain.add("runpy")
        packages.append("safetensors")
    shape = data.spec.input_shape
    if data.spec.kind == "image":
        channels, height, width = shape
        mode = "L" if channels == 1 else "RGB"
        what, metavar, place = "pictures", "PICTURE", "path"
        read = _PICTURE.format(channels=channels, height=height, width=width, mode=mode)
        imports.append("from PIL import Image, ImageOps")
        packages.append("pillow")
    elif data.encoder is not None:
        what, metavar, place = "rows of a table", "TABLE.csv", "path, row"
        read = _TABLE.format(columns=len(data.encoder.numbers) + len(data.encoder.texts))
        plain |= {"csv", "io", "re"}
    else:
        what, metavar, place = "rows", "ROWS.npy", "path, row"
        read = _ARRAYS.format(columns=shape[0])
    standard = [f"import {name}" for name in sorted(plain)] + ["from pathlib import Path"]
    return _USE.format(
        what=what,
        metavar=metavar,
        packages=", ".join(packages),
        imports="\n".join([*standard, "", *imports]),
        load=_LOAD[file_format],
        read=read,
        classify=_CLASSIFY[file_format],
        place=place,
    )
