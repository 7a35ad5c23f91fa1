"""The JSON Schema for editors and the tables for readers, which `make schema` writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from sweep.definitions import (
    FAMILIES,
    CategoricalParameter,
    DefaultBy,
    Parameter,
    Recipe,
    declared,
)
from sweep.space.domains import full_meaning
from sweep.space.search_space import space_type

__all__ = ["parameters_table", "replace_table", "search_space_schema", "write_generated"]

SCHEMA_FILE = Path(__file__).parents[1] / "search_space.schema.json"
_START = "<!-- parameters: written by `make schema` -->"
_END = "<!-- end of parameters -->"


def search_space_schema() -> dict[str, Any]:
    """The JSON Schema of the YAML file, for editors: one branch for each model family."""
    kinds = {model: space_type(model) for model in FAMILIES}
    schema: dict[str, Any] = TypeAdapter(reduce(or_, kinds.values())).json_schema()
    for model, kind in kinds.items():
        branch = schema["$defs"][kind.__name__]
        described = branch["properties"]["model"]
        described["enum"] = [model]
        if described["default"] != model:
            del described["default"]
            branch["required"].append("model")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Search space of sweep"
    return schema


def parameters_table() -> str:
    """Values, default and meaning of each family's and the recipe's parameters, in Markdown."""
    tables = {f"Model `{name}`": family.parameters for name, family in FAMILIES.items()}
    tables["Training, of any model"] = declared(Recipe)
    return "\n\n".join(f"### {title}\n\n{_table(each)}" for title, each in tables.items())


def _table(parameters: Mapping[str, Parameter]) -> str:
    rows = ["| parameter | values | default | meaning |", "|---|---|---|---|"]
    for parameter in parameters.values():
        if isinstance(parameter, CategoricalParameter):
            values = ", ".join(f"`{choice}`" for choice in parameter.choices)
        else:
            kind = "whole number" if isinstance(parameter.minimum, int) else "number"
            values = f"{kind}, {parameter.minimum:g} to {parameter.maximum:g}"
        default = f"`{parameter.default}`"
        if isinstance(parameter.default, DefaultBy):
            default = f"by `{parameter.default.parent}`"
        rows.append(f"| `{parameter.name}` | {values} | {default} | {full_meaning(parameter)} |")
    return "\n".join(rows)


def replace_table(page: str) -> str:
    """A documentation page with an updated tables of parameters."""
    before, rest = page.split(_START)
    _, after = rest.split(_END)
    return f"{before}{_START}\n{parameters_table()}\n{_END}{after}"


def write_generated(page: Path) -> None:
    """Write the schema into the package and the tables into a page."""
    SCHEMA_FILE.write_text(json.dumps(search_space_schema(), indent=2) + "\n")
    page.write_text(replace_table(page.read_text()))
