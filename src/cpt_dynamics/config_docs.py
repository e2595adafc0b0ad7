"""The JSON schemas and config/README.md, both written from the pydantic models of the configuration and from `Fit`.

python -m cpt_dynamics.config_docs           # say which of the files is out of date
python -m cpt_dynamics.config_docs --write   # write them
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter

from cpt_dynamics.claims import Claims
from cpt_dynamics.config import Config
from cpt_dynamics.experiments.runs import Entries
from cpt_dynamics.figures.schema import schema as results_schema
from cpt_dynamics.files import atomic
from cpt_dynamics.fitting import Fit

Schema = dict[str, Any]
DRAFT = "https://json-schema.org/draft/2020-12/schema"

INTRODUCTION = """\
# Configuration

`config/config.yaml` holds the default scale, and `config/experiments.yaml` the runs and the figures that are
made from them. A file given with `--configfile` is laid over the default: mappings merge key by key, lists
and values are replaced, and a corpus or model set to `null` is dropped.

```
snakemake --cores all                                              # the default
snakemake --cores all --configfile config/scales/smoke.yaml        # a scale of the kit
snakemake --cores all --configfile config/scales/smoke.yaml my.yaml  # several: the last wins
```

Results of a scale lie in `results/<scale>/`, so give a scale of your own a name of its own. What was finished
stays as long as the keys it depends on stay the same.

- A number with an exponent needs a decimal point (`3.0e-3`): YAML reads `3e-3` as text.
- Names of scales, corpora, models, runs and figures become parts of paths and commands: they have letters a-z, digits
  and `_`, begin with a letter, and are no longer than 80 characters.
- Unknown keys are refused. To have them marked while you type, let the first line of a file name its schema
  in [`workflow/schemas/`](../workflow/schemas): `config`, `scale` (laid over the default) or `experiments`,
  for instance `# yaml-language-server: $schema=../../workflow/schemas/scale.schema.json`.
- The tables below are written from `src/cpt_dynamics/config.py` and `src/cpt_dynamics/experiments/runs.py`
  by `make docs-config`; change the descriptions there.
"""

CONFIG_HEADING = """\
## Keys of `config.yaml`
"""

EXPERIMENTS_HEADING = """\
## Keys of `experiments.yaml`
"""

BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "at least {} characters",
    "minItems": "at least {}",
    "minProperties": "at least {}",
}


def schema(model: type[BaseModel], title: str) -> Schema:
    """JSON schema (draft 2020-12) of a model, with keys as they are spelt in YAML."""
    generated = model.model_json_schema(by_alias=True)
    return {"$schema": DRAFT, **generated, "title": title}


def fit_schema() -> Schema:
    """JSON schema of what `Fit.to_json` gives; the file of `fit --out` holds that and more."""
    fields = TypeAdapter(Fit).json_schema()["properties"]
    number = {"type": ["number", "null"]}  # null where JSON has no word for it: infinite bounds, errors of no rows
    fields["metrics"]["additionalProperties"]["additionalProperties"] = number
    pair = {"type": "array", "items": number, "minItems": 2, "maxItems": 2}
    of_law = {
        "law": {"type": "string", "description": "name of the law"},
        "source": {"type": "string", "description": "paper and equation of the law"},
        "bounds": {
            "type": "object",
            "additionalProperties": pair,
            "description": "lower and upper bound of each parameter; null where there is none",
        },
        "held": {
            "type": "object",
            "additionalProperties": {"type": "number"},
            "description": "values of fixed parameters",
        },
    }
    properties = {**of_law, **{name: field for name, field in fields.items() if name != "law"}}
    return {
        "$schema": DRAFT,
        "title": "a fitted law",
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }


def overlay(full: Schema) -> Schema:
    """The schema of a file that is laid over the default: no key is required, and a corpus or model may be `null`."""

    def relax(node: Any) -> Any:
        if isinstance(node, list):
            return [relax(item) for item in node]
        if not isinstance(node, dict):
            return node
        # Where the alternatives of a corpus differ in their keys, a part of one need not tell which it is.
        kept = {key: relax(value) for key, value in node.items() if key not in ("required", "discriminator")}
        if "oneOf" in node:
            kept["anyOf"] = kept.pop("oneOf")
        return kept

    result: Schema = relax(full)
    for key in ("corpora", "models"):
        for spec in _values(result["properties"][key]):
            spec["anyOf"].append({"type": "null"})
    return {**result, "title": "a scale: keys laid over config/config.yaml"}


def _values(mapping: Schema) -> list[Schema]:
    """Schemas of the values of a mapping whose keys are not fixed."""
    patterned = list(mapping.get("patternProperties", {}).values())
    free = mapping.get("additionalProperties")
    return [*patterned, free] if isinstance(free, dict) else patterned


def kind(property_: Schema) -> str:
    """What values a key takes, as Markdown."""
    if "$ref" in property_:
        name = property_["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for union in ("anyOf", "oneOf"):
        if union in property_:
            return " or ".join(kind(one) for one in property_[union])
    if "enum" in property_ or "const" in property_:
        values = property_.get("enum", [property_.get("const")])
        return ", ".join(f"`{value}`" for value in values)
    bounds = [text.format(f"{property_[key]:g}") for key, text in BOUNDS.items() if key in property_]
    match property_.get("type"):
        case "array":
            base = f"list of {kind(property_['items'])}"
        case "object":
            base = f"mapping: name → {' or '.join(map(kind, _values(property_))) or 'anything'}"
        case "string" if property_.get("pattern", "").startswith("^[a-z]"):
            base = "name (a-z, 0-9, `_`)"
        case "string" if property_.get("pattern", "").startswith("^[0-9a-f]"):
            base = "hexadecimal digits"
        case "string":
            base = "text"
        case "boolean":
            base = "`true`, `false`"
        case other:
            base = str(other or "anything")
    return ", ".join([base, *bounds])


def section(name: str, model: Schema) -> str:
    """Heading, first line and table of the keys of one model."""
    required = model.get("required", [])
    rows = []
    for key, property_ in model["properties"].items():
        default = property_.get("default")
        if key in required:
            shown = "*required*"
        elif isinstance(default, dict) and "$ref" in property_:
            shown = "see there"
        else:
            shown = f"`{yaml.safe_dump(default, default_flow_style=True, sort_keys=False).splitlines()[0]}`"
        text = " ".join(property_.get("description", "").split())
        cells = (f"`{key}`", kind(property_), shown, text)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    first = model.get("description", "").partition("\n\n")[0].replace("\n", " ")
    table = ["| key | values | default | meaning |", "|---|---|---|---|", *rows]
    return "\n".join([f"### {name}", "", *([first, ""] if first else []), *table, ""])


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [name for item in node for name in _references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"].rpartition("/")[2]] if "$ref" in node else []
    return own + [name for value in node.values() for name in _references(value)]


def sections(top: str, full: Schema) -> str:
    """Sections of a schema and of all that it refers to, in the order in which keys refer to them."""
    definitions = full.get("$defs", {})
    texts = [section(top, full)]
    waiting, seen = _references(full["properties"]), set()
    while waiting:
        name = waiting.pop(0)
        if name not in seen:
            seen.add(name)
            texts.append(section(name, definitions[name]))
            waiting = _references(definitions[name]["properties"]) + waiting
    return "\n".join(texts)


def files() -> dict[Path, str]:
    """Path in the repository -> text of every generated file."""
    config = schema(Config, "config/config.yaml, with the files laid over it")
    experiments = schema(Entries, "config/experiments.yaml")
    keys = (
        CONFIG_HEADING,
        sections("Config", config),
        EXPERIMENTS_HEADING,
        sections("Experiments", experiments),
    )
    readme = "\n".join([INTRODUCTION, *keys])
    folder = Path("workflow/schemas")
    schemas = {
        "config": config,
        "scale": overlay(config),
        "experiments": experiments,
        "claims": schema(Claims, "config/claims.yaml"),
        "fit": fit_schema(),
        "fits": results_schema(),
    }
    texts = {
        folder / f"{name}.schema.json": json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        for name, value in schemas.items()
    }
    return {**texts, Path("config/README.md"): readme.rstrip("\n") + "\n"}


def outdated(root: Path) -> list[Path]:
    """Generated files under `root` that are missing or differ from what the models say."""
    return [
        path
        for path, text in files().items()
        if not (root / path).exists() or (root / path).read_text(encoding="utf-8") != text
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check or write the schemas and config/README.md.")
    parser.add_argument("--write", action="store_true", help="write what is out of date")
    write = parser.parse_args(arguments).write
    root = Path()
    stale = outdated(root)
    for path in stale:
        if write:
            with atomic(root / path) as temporary:
                temporary.write_text(files()[path], encoding="utf-8")
        print(f"{'wrote' if write else 'out of date (make docs-config)'}: {path}")
    return 1 if stale and not write else 0


if __name__ == "__main__":
    sys.exit(main())
