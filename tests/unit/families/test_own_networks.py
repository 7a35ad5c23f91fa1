"""A user's own network: what its file and its function may be, and what is said of the rest."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sweep.definitions import definition_of, parameters_of
from sweep.errors import InputError, SearchSpaceError
from sweep.families import load_family
from sweep.families.own import OwnFamily, load_function, network_arguments, told
from sweep.families.probing import probe
from sweep.records import DataSpec, NetworkArgument, NetworkSource, OwnNetwork
from sweep.space import load_space, load_space_for, reload_space

ROOT = Path(__file__).parents[3]
SPEC = DataSpec("image", (1, 4, 4), ("a", "b", "c"), 20, 5)
GOOD = """
from typing import Literal
from torch import nn

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}

class Net(nn.Sequential):
    pass

def build(input_shape, num_classes, *, width: int = 8, slope: float = 1,
          activation: Literal["relu", "tanh"] = "tanh") -> nn.Module:
    inputs = input_shape[0] * input_shape[1] * input_shape[2]
    return Net(nn.Flatten(), nn.Linear(inputs, width), nn.BatchNorm1d(width),
               ACTIVATIONS[activation](), nn.Linear(width, num_classes))
"""
ARGUMENTS = (
    NetworkArgument("width", "int", 8),
    NetworkArgument("slope", "float", 1.0),
    NetworkArgument("activation", "choice", "tanh", ("relu", "tanh")),
)


def source(code: str, function: str = "build") -> NetworkSource:
    return NetworkSource("net.py", function, textwrap.dedent(code))


def network(code: str) -> OwnNetwork:
    """The network of this code, with what its function takes."""
    found = source(code)
    return OwnNetwork(found, network_arguments(load_function(found), found))


def returning(expression: str, signature: str = "") -> str:
    head = f"from torch import nn\ndef build(input_shape, num_classes{signature}):\n"
    return f"{head}    return {expression}\n"


def test_arguments_are_hyperparameters() -> None:
    assert network(GOOD).arguments == ARGUMENTS
    assert type(network(GOOD).arguments[1].default) is float
    future = network("from __future__ import annotations\n" + GOOD)
    assert future.arguments == ARGUMENTS


def test_a_network_is_a_model_with_the_recipe() -> None:
    model = network(GOOD)
    space = load_space_for({"name": "a", "dataset": "digits"}, network=model)
    assert space.model_option == "--model net.py:build"
    assert reload_space(space.to_json()).fingerprint == space.fingerprint
    assert list(parameters_of(model))[:4] == ["width", "slope", "activation", "weight_decay"]
    assert definition_of(model).stack_key is None
    built = load_family(model).build({"width": 5, "slope": 2.0, "activation": "relu"}, SPEC)
    assert built(torch.zeros(2, 1, 4, 4)).shape == (2, 3)
    assert isinstance(built[3], nn.ReLU)


def test_a_space_that_names_a_model_is_refused_beside_one(tmp_path: Path) -> None:
    model = network(GOOD)
    file = tmp_path / "a.yaml"
    file.write_text("name: a\nmodel: cnn\ndataset: digits\nparameters: {epochs: 2}\n")
    said = r"model: found 'cnn' here and the network net\.py:build beside it.*: delete this entry,"
    with pytest.raises(SearchSpaceError, match=rf"^.*a\.yaml:2:8: {said} or leave the n"):
        load_space_for(file, network=model)
    with pytest.raises(SearchSpaceError, match=f"^{said}"):
        load_space_for(load_space(file), network=model)
    with pytest.raises(SearchSpaceError, match=r"^model: found 'mlp' here and"):
        load_space_for({"name": "a", "model": "mlp", "dataset": "digits"}, network=model)
    file.write_text(file.read_text().replace("model: cnn\n", ""))
    space = load_space_for(file, network=model)
    assert (space.model, space.domains["epochs"]) == (model, 2)
    for same in (load_space(file), space, space.to_json()):
        assert load_space_for(same, network=model).fingerprint == space.fingerprint


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        (", *, width=3", r"argument width has no annotation; write its type"),
        (", *, width: int", r"argument width has no default; give it one"),
        (", *, epochs: int = 3", r"argument epochs has the name of a hyperparameter of training"),
        (", *, deep: bool = True", r"argument deep must be annotated int, float or .*found bool"),
        (
            ", *, size: list[int] = None",
            r"argument size must be annotated .*found list\[int\]|list",
        ),
        (
            ", *, width: int = 2.5",
            r"argument width has the default 2\.5, which is not a whole number",
        ),
        (", *, width: int = True", r"argument width has the default True, which is not a whole"),
        (", *, slope: float = 'a'", r"argument slope has the default 'a', which is not a number"),
        (", *, width: Wide = 3", r"its annotations cannot be read: name 'Wide' is not defined"),
        (", *, slope: float = 1e400", r"argument slope has the default inf, which is not a number"),
        (", *, slope: float = 10**400", r"argument slope int too large to convert to float"),
        (
            ", *, width: int = 10**16",
            r"argument width has the default 10{16}, which is not a whole",
        ),
        (", **rest", r"argument rest must be passed by name"),
        (", *sizes: int", r"argument sizes must be passed by name"),
    ],
)
def test_an_argument_that_cannot_be_a_hyperparameter(signature: str, said: str) -> None:
    code = "from __future__ import annotations\n" + returning("nn.Flatten()", signature)
    with pytest.raises(InputError, match=rf"^net\.py:build: {said}"):
        network(code)


@pytest.mark.parametrize("name", ["_width", "__class__", "model_config", "model_dump", "copy"])
def test_names_that_are_taken(name: str) -> None:
    model = network(returning("nn.Flatten()", f", *, {name}: int = 3"))
    with pytest.raises(InputError, match=f"^net.py:build: argument {name} has a name that is"):
        load_space_for({"name": "a", "dataset": "digits"}, network=model)


@pytest.mark.parametrize(
    "changes",
    [
        {"file": "net.py\nsweep: all is well"},
        {"function": "build; print(1)"},
        {"arguments": [{"name": "width", "kind": "choice", "default": "a", "choices": []}]},
        {"arguments": [{"name": "width", "kind": "int", "default": "a"}]},
        {"arguments": [{"name": "width", "kind": "list", "default": 3}]},
    ],
    ids=str,
)
def test_a_forged_network_is_one_line(changes: dict[str, Any]) -> None:
    plain = load_space_for({"name": "a", "dataset": "digits"}, network=network(GOOD)).to_json()
    for name, value in changes.items():
        part = plain["model"] if name == "arguments" else plain["model"]["source"]
        part[name] = value
    with pytest.raises(SearchSpaceError) as caught:
        reload_space(plain)
    assert str(caught.value).count("\n") == 0


def test_a_choice_has_texts_and_a_default_among_them() -> None:
    code = "from typing import Literal\n" + GOOD
    with pytest.raises(InputError, match="has the default 'gelu', which is not one of relu, tanh"):
        network(code.replace('= "tanh"', '= "gelu"'))
    with pytest.raises(InputError, match="must be annotated int, float or Literal with texts"):
        network(code.replace('Literal["relu", "tanh"] = "tanh"', "Literal[1, 2] = 1"))


@pytest.mark.parametrize("given", ["", "num_classes", "*, input_shape, num_classes"])
def test_shape_and_classes_come_first(given: str) -> None:
    with pytest.raises(InputError, match="must take input_shape and num_classes first"):
        network(f"def build({given}): ...")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1 +\n", r"cannot be loaded: line 1: SyntaxError: invalid syntax"),
        ("import torch\nimport notthere\n", r"line 2: ModuleNotFoundError: No module named"),
        ("raise SystemExit\n", r"line 1: SystemExit"),
        ("def other(): ...\n", r"no function 'build': its functions are other; name one with"),
        ("from os.path import join\n", r"no function 'build': it defines none"),
        ("class build: ...\n", r"^net\.py:build is no function \(class\): write a function"),
        ("import functools\nbuild = functools.partial(int)\n", r"no function \(partial\)"),
    ],
)
def test_a_file_that_cannot_be_used(code: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_function(source(code))


@pytest.mark.parametrize("first", ["\ufeff", "# coding: latin-1\n# \xe9\n"])
def test_a_file_is_read_as_python_reads_it(first: str) -> None:
    assert network(first + GOOD).arguments == ARGUMENTS


def test_a_file_that_starts_a_sweep_is_told_to_guard_it() -> None:
    code = "import sweep\nsweep.run({'name': 'a', 'dataset': 'digits'})\n"
    with pytest.raises(
        InputError, match=r"line 2: InputError: run\(\) was called while .*__main__"
    ):
        load_function(source(code))
    guarded = "import sweep\nif __name__ == '__main__':\n    sweep.run({})\n" + GOOD
    assert network(guarded).arguments == ARGUMENTS


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("3", r"net\.py:build must return a torch\.nn\.Module; found int"),
        ("nn.Sequential(nn.Flatten(), nn.Linear(16, 2))", r"of shape \(3, 3\).*; found \(3, 2\)"),
        ("nn.Sequential(nn.Flatten(0), nn.Linear(48, 3))", r"found \(3,\)"),
        ("nn.Linear(7, 3)", r"mat1 and mat2 shapes cannot be multiplied"),
        ("nn.Linear(4, 4)", r"of shape \(3, 3\), examples by classes; found \(3, 1, 4, 4\)"),
        ("nn.Flatten()", "the network has no parameters to train"),
        ("nn.RNN(4, 3)", r"logits, a tensor of shape \(3, 3\); found tuple|RNN"),
    ],
)
def test_a_network_that_does_not_work(expression: str, said: str) -> None:
    family = OwnFamily(network(returning(expression)))
    with pytest.raises((TypeError, ValueError, RuntimeError), match=said):
        probe(family, {}, SPEC)


def test_a_parameter_outside_the_loss_is_named_and_a_frozen_one_is_not() -> None:
    code = """
    from torch import nn
    class Net(nn.Module):
        def __init__(self, frozen):
            super().__init__()
            self.used = nn.Linear(16, 3)
            self.unused = nn.Linear(2, 2).requires_grad_(not frozen)
        def forward(self, inputs):
            return self.used(inputs.flatten(1))
    def build(input_shape, num_classes, *, frozen: int = 0):
        return Net(bool(frozen))
    """
    family = OwnFamily(network(code))
    with pytest.raises(ValueError, match=r"parameter unused\.weight took no part in the loss"):
        probe(family, {"frozen": 0}, SPEC)
    assert probe(family, {"frozen": 1}, SPEC).num_parameters == 16 * 3 + 3


def test_what_a_network_costs() -> None:
    found = probe(OwnFamily(network(GOOD)), {"width": 8, "slope": 1.0, "activation": "tanh"}, SPEC)
    assert found.num_parameters == 17 * 8 + 2 * 8 + 9 * 3
    # Two per weight forward; backward two for each weight, and two for the inputs of the second.
    assert found.example_flops == 4 * 16 * 8 + 6 * 8 * 3


LINEAR = "nn.Sequential(nn.Flatten(), nn.Linear(16, num_classes))"


def test_formats_are_those_of_training() -> None:
    family = OwnFamily(network(returning(LINEAR + ".half()")))
    assert probe(family, {}, SPEC).num_parameters == 16 * 3 + 3


@pytest.mark.parametrize("kind", ["register_buffer", "register_parameter"])
def test_complex_numbers_are_refused(kind: str) -> None:
    code = f"""
    import torch
    from torch import nn
    def build(input_shape, num_classes):
        network = nn.Sequential(nn.Flatten(), nn.Linear(16, num_classes))
        network.{kind}("phase", nn.Parameter(torch.ones(2, dtype=torch.complex64)))
        return network
    """
    with pytest.raises(ValueError, match="phase is complex"):
        probe(OwnFamily(network(code)), {}, SPEC)


@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_lazy_layers_are_built_whole() -> None:
    code = returning("nn.Sequential(nn.Flatten(), nn.LazyLinear(5), nn.LazyLinear(num_classes))")
    built = OwnFamily(network(code)).build({}, SPEC)
    assert built.training
    assert [tuple(p.shape) for p in built.parameters()] == [(5, 16), (5,), (3, 5), (3,)]


def test_a_file_is_run_once_and_threads_stay() -> None:
    threads = torch.get_num_threads()
    code = f"import torch\ntorch.set_num_threads({threads + 1})\nruns = []\n" + returning("runs")
    assert load_function(source(code)) is load_function(source(code))
    assert torch.get_num_threads() == threads


def test_a_file_has_no_imports_from_the_future_but_its_own() -> None:
    code = "def f(a: 3): ...\nassert f.__annotations__ == {'a': 3}\n"
    assert network(code + GOOD).arguments == ARGUMENTS


def test_a_build_that_would_end_the_process_raises() -> None:
    family = OwnFamily(network("import sys\n" + returning("sys.exit('leaving')")))
    with pytest.raises(RuntimeError, match=r"net\.py:build calls sys\.exit: leaving"):
        family.build({}, SPEC)


def test_an_error_names_the_line_of_the_users_file() -> None:
    code = returning("nn.Linear(width, 'x')", ", *, width: int = 3")
    family: Any = OwnFamily(network(code))
    with pytest.raises(TypeError) as caught:
        family.build({"width": 3}, SPEC)
    assert told(caught.value, "net.py").startswith("line 3: TypeError: ")


def test_the_networks_of_the_documentation_work() -> None:
    for page in ("README.md", "docs/guide.md"):
        text = (ROOT / page).read_text()
        blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        (code,) = [block for block in blocks if "def build" in block]
        start = code.split("own = sweep.run")[0]
        assert probe(OwnFamily(network(start)), {"width": 8, "dropout": 0.1}, SPEC).num_parameters


@pytest.mark.parametrize("place", ["file", "function"])
def test_what_is_set_for_pytorch_does_not_last(place: str) -> None:
    before = torch.get_num_threads()
    code = f"""
    import torch
    def change():
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads({before + 3})
        torch.use_deterministic_algorithms(True)
        return torch.nn.Flatten()
    def build(input_shape, num_classes):
        return change()
    """
    code = textwrap.dedent(code) + ("change()\n" if place == "file" else "")
    OwnFamily(network(code)).build({}, SPEC)
    assert torch.get_default_dtype() is torch.float32
    assert torch.get_num_threads() == before
    assert not torch.are_deterministic_algorithms_enabled()
