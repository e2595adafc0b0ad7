"""The smallest scale: text, configuration and experiments that tests train in."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

WORDS = [
    "the",
    "rate",
    "of",
    "learning",
    "falls",
    "while",
    "steps",
    "go",
    "on",
    "and",
    "a",
    "loss",
    "curve",
    "bends",
    "where",
    "text",
    "of",
    "another",
    "kind",
    "begins",
]

TINY: dict[str, Any] = {
    "scale": "tiny",
    "seed": 3,
    "corpora": {
        "prose": {"source": "local", "paths": ["text/prose.jsonl"]},
        "lists": {"source": "local", "paths": ["text/lists.jsonl"]},
        "rules": {"source": "local", "paths": ["text/rules.jsonl"]},
    },
    "roles": {"general": "prose", "strong": "lists", "weak": "rules"},
    "tokenizer": {"vocabulary": 300, "megabytes": 0.05},
    "models": {"small": {"layers": 1, "width": 16, "heads": 2, "feedforward": 32}},
    "optimizer": {"peak_lr": 0.01},
    "batch": {"sequences": 4, "length": 16},
    "lengths": {"pretraining": 24, "continual": 12, "warmup": 4, "rewarmup": 2},
    "evaluation": {"tokens": 512, "out_of_domain_tokens": 512, "every": 4, "dense": 2},
    "checkpoint_every": 6,
    "device": {"name": "cpu", "compile": "off"},
}
CONSTANT = {"shape": "constant", "peak": "last"}
EXPERIMENTS: dict[str, Any] = {
    "runs": {
        "trunk": {"phases": [{"phase": "pretraining", "data": {"general": 1}, "steps": "pretraining"}]},
        "fork": {
            "after": "trunk",
            "at": 14,
            "phases": [{"phase": "continual", "data": {"strong": 1}, "steps": "continual", "schedule": CONSTANT}],
        },
    },
    "figures": {"fig02": {"title": "Shift", "runs": ["trunk", "fork"]}},
}


def write_texts(folder: Path) -> None:
    """Three corpora of a few hundred short documents each, the same every time."""
    chance = random.Random(0)
    kinds: dict[str, Callable[[], str]] = {
        "prose": lambda: " ".join(chance.choices(WORDS, k=40)) + ".",
        "lists": lambda: "".join(f"x{chance.randrange(30)} = [{chance.randrange(99)}]\n" for _ in range(20)),
        "rules": lambda: "".join(
            f"if {w}: {v}; " for w, v in zip(chance.choices(WORDS, k=15), chance.choices(WORDS, k=15), strict=True)
        ),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in kinds.items():
        lines = [json.dumps({"text": make()}) for _ in range(400)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
