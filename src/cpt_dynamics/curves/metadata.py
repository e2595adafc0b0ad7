"""What catalogues ask of released curves: Croissant metadata, the head of a Hub data card, Zenodo's description."""

from collections.abc import Mapping
from typing import Any

import yaml

from cpt_dynamics.curves import table

CROISSANT = "croissant.json"  # https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
ZENODO = ".zenodo.json"  # https://developers.zenodo.org/#representation
CREATORS = "The cpt-dynamics developers"
LICENCE = "https://creativecommons.org/licenses/by/4.0/"
PAPER = "2505.07796"
KEYWORDS = ["continual pre-training", "language models", "loss curves", "learning rate schedules", "scaling laws"]
FORMATS = {
    ".parquet": "application/x-parquet",
    ".json": "application/json",
    ".yaml": "application/yaml",
    ".md": "text/markdown",
}
KINDS = {"text": "sc:Text", "integer": "cr:Int64", "number": "cr:Float64"}
UNITS = {
    "run": "name of the training run",
    "seed": "seed of initial weights and of the order of the text",
    "model": "size of the model, as the configuration names it",
    "params": "parameters without embeddings",
    "step": "optimiser step, from 1 over all phases",
    "phase": "pretraining or continual",
    "phase_step": "step within the phase, from 1",
    "lr": "learning rate that the step used",
    "tokens": "tokens seen up to and with the step",
    "validation": "name of the validation set",
    "loss": "loss on the validation set in nats a token",
    "bits_per_byte": "the same in bits a byte of text",
}
TABLES = {  # file -> its columns, and what a row is
    "curves.parquet": (table.CURVE_COLUMNS, "a loss: run, step and validation set"),
    "schedules.parquet": (table.SCHEDULE_COLUMNS, "a step of a run, with its learning rate"),
}
TERMS = [
    *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileProperty"),
    *("fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5"),
    *("parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator"),
    *("source", "subField", "transform"),
]
# The context of the specification, which readers compare with their own.
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{key: f"cr:{key}" for key in TERMS},
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}


def croissant(about: Mapping[str, Any], files: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Croissant 1.1 metadata.

    about : name, scale, seed, kit and dates, as `release.json` has them
    files : name -> bytes and sha256 of every other file of the release
    """
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": about["name"],
        "description": described(about),
        "version": about["kit"],
        "datePublished": about["finished"][:10],
        "license": LICENCE,
        "creator": {"@type": "Organization", "name": CREATORS},
        "publisher": {"@type": "Organization", "name": CREATORS},
        "keywords": KEYWORDS,
        "url": f"https://arxiv.org/abs/{PAPER}",
        "citeAs": cited(about),
        "isLiveDataset": False,
        "distribution": [_file(name, stated) for name, stated in files.items()],
        "recordSet": [_records(name, *TABLES[name]) for name in TABLES if name in files],
    }


def described(about: Mapping[str, Any]) -> str:
    """One sentence on a release."""
    return (
        f"Validation losses and learning rates of training runs of continual pre-training of language models (scale"
        f" {about['scale']}, seed {about['seed']}), from which the kit cpt-dynamics fits and tests the law of arXiv"
        f" {PAPER}. No text that was trained on is among the files."
    )


def cited(about: Mapping[str, Any]) -> str:
    """How to cite a release."""
    return (
        f"cpt-dynamics {about['kit']}, released curves, scale {about['scale']}, seed {about['seed']},"
        f" {about['finished'][:10]}."
    )


def _file(name: str, stated: Mapping[str, Any]) -> dict[str, Any]:
    ending = name[name.rfind(".") :]
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{stated['bytes']} B",
        "encodingFormat": FORMATS.get(ending, "application/octet-stream"),
        "sha256": stated["sha256"],
    }


def _records(name: str, columns: Mapping[str, str], row: str) -> dict[str, Any]:
    stem = name.partition(".")[0]
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{stem}/{column}",
            "name": column,
            "description": UNITS[column],
            "dataType": KINDS[kind],
            "source": {"fileObject": {"@id": name}, "extract": {"column": column}},
        }
        for column, kind in columns.items()
    ]
    return {"@type": "cr:RecordSet", "@id": stem, "name": stem, "description": f"A row is {row}.", "field": fields}


def card(about: Mapping[str, Any], rows: int) -> str:
    """The head of a data card of the Hugging Face Hub, with the lines `---` around it; rows: number of losses."""
    head = {
        "license": "cc-by-4.0",
        "pretty_name": about["name"],
        "language": ["en"],
        "tags": [word.replace(" ", "-") for word in KEYWORDS],
        "size_categories": [_size(rows)],
        "configs": [
            {"config_name": name.partition(".")[0], "data_files": name, **({"default": True} if number == 0 else {})}
            for number, name in enumerate(TABLES)
        ],
    }
    return f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n"


def _size(rows: int) -> str:
    """The Hub's word for a number of rows."""
    ends = [("n<1K", 1e3), ("1K<n<10K", 1e4), ("10K<n<100K", 1e5), ("100K<n<1M", 1e6), ("1M<n<10M", 1e7)]
    return next((word for word, end in ends if rows < end), "10M<n<100M")


def zenodo(about: Mapping[str, Any]) -> dict[str, Any]:
    """What Zenodo takes from a folder that is deposited there."""
    return {
        "title": f"{about['name'][0].upper()}{about['name'][1:]}",
        "upload_type": "dataset",
        "description": described(about),
        "creators": [{"name": CREATORS}],
        "license": "cc-by-4.0",
        "access_right": "open",
        "keywords": KEYWORDS,
        "version": about["kit"],
        "publication_date": about["finished"][:10],
        "language": "eng",
        "related_identifiers": [
            {"identifier": f"arXiv:{PAPER}", "relation": "isSupplementTo", "resource_type": "publication-preprint"}
        ],
    }
