"""The stages that are killed, in the order in which data pass through them, and the small scale that they work on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from worlds.tiny import CONSTANT, TINY
from worlds.workflow import copy

Words = tuple[str, ...]

PRETRAINING: dict[str, Any] = {"phase": "pretraining", "data": {"general": 1}, "steps": "pretraining"}
CONTINUAL = {"phase": "continual", "data": {"strong": 1}, "steps": "continual", "schedule": CONSTANT}
RUNS: dict[str, Any] = {
    "pt": {"phases": [PRETRAINING]},
    "hidden": {"after": "pt", "phases": [{**PRETRAINING, "steps": "continual", "schedule": CONSTANT}]},
    "scratch": {"phases": [{**PRETRAINING, "data": {"strong": 1}, "steps": "total"}]},
    **{f"transfer_{n}": {"after": "pt", "at": f"{n}/6 * total", "phases": [CONTINUAL]} for n in (1, 2, 3)},
}
FIGURES = {
    "fig01": {"title": "Loss curves", "runs": ["hidden", "scratch", "transfer_2"]},
    "fig02": {"title": "Shift", "runs": ["hidden", "scratch", "transfer_1", "transfer_2", "transfer_3"]},
}
SCALE = {
    **TINY,
    "scale": "kills",
    "lengths": {"pretraining": 160, "continual": 80, "warmup": 8, "rewarmup": 4},
    "evaluation": {"tokens": 512, "out_of_domain_tokens": 512, "every": 8, "dense": 8},
    "checkpoint_every": 20,
    "law": {"lambda": 0.75},
}
SNAKEMAKE = ("snakemake", "--cores", "2")


@dataclass(frozen=True)
class Stage:
    """Commands, one after another, that are given again after a kill.

    weight : its share of the kills
    before : the stage whose end it begins from; "" for the one above it
    again : a command that is given first after a kill
    """

    name: str
    commands: list[Words]
    weight: float = 1
    before: str = ""
    again: Words | None = None


def kit(*words: str) -> Words:
    return ("cpt-dynamics", *words)


def over_corpora(command: str) -> list[Words]:
    return [kit(command, name) for name in TINY["corpora"]]


UNLOCK = ("snakemake", "--unlock")
STAGES = [
    Stage("documents", over_corpora("documents")),
    Stage("split", over_corpora("split")),
    Stage("tokenizer", [kit("tokenizer")]),
    Stage("tokens", over_corpora("tokens")),
    Stage("train --branch", [kit("train", "--branch", "{pt}")], weight=4),
    Stage("train --plan", [kit("train", "--plan")], weight=4, before="tokens"),
    Stage("train --processes", [kit("train", "--plan", "--processes", "2")], weight=4, before="tokens"),
    Stage("snakemake runs", [(*SNAKEMAKE, "runs")], weight=4, before="tokens", again=UNLOCK),
    Stage("curves", [kit("curves", *RUNS)], before="train --plan"),
    Stage("analyse", [kit("analyse", "fig01"), kit("analyse", "fig02")]),
    Stage("plot", [kit("plot", "fig01"), kit("plot", "fig02")]),
    Stage("release", [kit("release")], before="curves"),
    Stage("bundle", [kit("bundle", "--results", "--out", "results.tar")], before="train --plan"),
    Stage("unbundle", [kit("unbundle", "../bundle/results.tar")], before="tokens"),
    Stage("export", [kit("export", "pt", "exported")], before="train --plan"),
    Stage("snakemake report", [SNAKEMAKE], weight=2, before="plot", again=UNLOCK),
]


def make(folder: Path) -> None:
    """The workflow with the small scale in an empty folder."""
    copy(folder)
    entries = {"runs": RUNS, "figures": FIGURES}
    (folder / "config/config.yaml").write_text(yaml.safe_dump(SCALE, sort_keys=False), encoding="utf-8")
    (folder / "config/experiments.yaml").write_text(yaml.safe_dump(entries, sort_keys=False), encoding="utf-8")
