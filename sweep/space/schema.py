"""What is generated from the definitions: the JSON Schema for editors and a table for readers.

`make schema` writes both; a test fails when either is stale.
"""

from __future__ import annotations

import json
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from sweep.definitions import FAMILIES, CategoricalParameter, DefaultBy, Parameter, parameters_of
from sweep.space.domains import default_words
from sweep.space.search_space import space_type

__all__ = ["parameters_table", "replace_table", "search_space_schema", "write_generated"]

SCHEMA_FILE = Path(__file__).parents[1] / "search_space.schema.json"
_START = "<!-- parameters: written by `make schema` -->"
_END = "<!-- end of parameters -->"


def search_space_schema() -> dict[str, Any]:
    """The JSON Schema of the YAML file, for editors."""
    schema: dict[str, Any] = TypeAdapter(
        reduce(or_, [space_type(model) for model in FAMILIES])
    ).json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Search space of sweep"
    return schema


def parameters_table() -> str:
    """Every parameter with its values, default and meaning, as a Markdown table."""
    rows = ["| parameter | values | default | meaning |", "|---|---|---|---|"]
    parameters: dict[str, Parameter] = {}
    for model in FAMILIES:
        parameters |= parameters_of(model)
    for parameter in parameters.values():
        if isinstance(parameter, CategoricalParameter):
            values = ", ".join(f"`{choice}`" for choice in parameter.choices)
        else:
            kind = "whole number" if isinstance(parameter.minimum, int) else "number"
            values = f"{kind}, {parameter.minimum:g} to {parameter.maximum:g}"
        default, meaning = f"`{parameter.default}`", parameter.meaning
        if isinstance(parameter.default, DefaultBy):
            default, meaning = (
                f"by `{parameter.default.parent}`",
                f"{meaning} By default {default_words(parameter.default)}.",
            )
        rows.append(f"| `{parameter.name}` | {values} | {default} | {meaning} |")
    return "\n".join(rows)


def replace_table(page: str) -> str:
    """A page of the documentation with its table of parameters renewed."""
    before, rest = page.split(_START)
    _, after = rest.split(_END)
    return f"{before}{_START}\n{parameters_table()}\n{_END}{after}"


def write_generated(page: Path) -> None:
    """Write the schema beside the package and the table into a page."""
    SCHEMA_FILE.write_text(json.dumps(search_space_schema(), indent=2) + "\n")
    page.write_text(replace_table(page.read_text()))
