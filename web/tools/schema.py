"""Prints the JSON Schema of the page's data, from which `contract.mjs` makes `src/contract.ts`."""

import json

from pydantic.json_schema import models_json_schema

from atlas_resources.page.contract.library import Library
from atlas_resources.page.contract.plate import PlateDetail


def schema() -> dict[str, object]:
    """The definitions of both files' models; fields have no titles, which would become types of their own."""
    _, found = models_json_schema([(Library, "serialization"), (PlateDetail, "serialization")])
    for model in found["$defs"].values():
        for field in model.get("properties", {}).values():
            field.pop("title", None)
    files = {"library": {"$ref": "#/$defs/Library"}, "plate": {"$ref": "#/$defs/PlateDetail"}}
    return {
        "title": "Files",
        "type": "object",
        "properties": files,
        "required": [*files],
        "additionalProperties": False,
        **found,
    }


print(json.dumps(schema()))
