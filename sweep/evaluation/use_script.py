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
        for row, probabilities in enumerate(classify(read(path))):
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
    picture = ImageOps.exif_transpose(Image.open(path)).convert("{mode}")
    picture = picture.resize(({width}, {height}), Image.Resampling.BOX)
    pixels = np.asarray(picture).reshape({height}, {width}, {channels}).transpose(2, 0, 1)
    return np.rint(pixels[None] * (ABOUT["input"]["white"] / 255)).astype(np.uint8)
'''

_ARRAYS = '''def read(path):
    """Rows of an .npy file as float32, shape (N, {columns})."""
    return np.load(path).astype(np.float32)
'''

_TABLE = '''def read(path):
    """Rows of a CSV file: numbers, then codes of categories; float64, shape (N, {columns})."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        text = file.read()

    def lines(separator):
        return csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)

    separator = max(",;\\t|", key=lambda each: len(next(lines(each))))
    header, *rows = (line for line in lines(separator) if len(line) > 1 or "".join(line).strip())
    places = {{name.strip(): place for place, name in enumerate(header)}}
    columns = [(places[column["name"].strip()], column) for column in ABOUT["input"]["columns"]]
    cells = ([(row[place].strip(), column) for place, column in columns] for row in rows)
    return np.array([[encode(*each, separator) for each in row] for row in cells], np.float64)


def encode(cell, column, separator):
    """A cell as a number, or as the code of its category."""
    if cell in ABOUT["input"]["missing"]:
        return column.get("missing", np.nan)
    if "categories" in column:
        return column["categories"].get(cell, column["other"])
    if cell in ABOUT["input"]["missing_numbers"]:
        return np.nan
    return float(cell.replace(",", ".") if separator == ";" else cell)
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
        plain |= {"csv", "io"}
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
