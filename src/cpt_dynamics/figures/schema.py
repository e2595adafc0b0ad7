"""The JSON schema of results/<scale>/fits/<figure>.json, made from the types of the results."""

from typing import Any

from pydantic.json_schema import models_json_schema

from cpt_dynamics import figures


def schema() -> dict[str, Any]:
    """One alternative a figure; which one it is, `figure` says."""
    kinds = {name: figures.result_type(name) for name in figures.names()}
    found, made = models_json_schema([(kind, "serialization") for kind in kinds.values()], by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "results/<scale>/fits/<figure>.json",
        "oneOf": [
            {"properties": {"figure": {"const": name}}, "allOf": [found[kind, "serialization"]]}
            for name, kind in kinds.items()
        ],
        "$defs": _untitled(made["$defs"]),
    }


def _untitled(node: Any) -> Any:
    """Without the titles that pydantic makes of names of fields: half of the file would be these."""
    if isinstance(node, list):
        return [_untitled(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: _untitled(value) for key, value in node.items() if key != "title" or not isinstance(value, str)}
