"""A small world of text, configuration and experiments that tests train in."""

import contextlib
import os
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cpt_dynamics import config as configuration
from cpt_dynamics.cli import main
from cpt_dynamics.config import Config

REPOSITORY = Path(__file__).parents[1]

# A shell that starts tests in the background has them ignore SIGINT, and so would every command that they stop by it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

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
    import json

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


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with texts, config/config.yaml and config/experiments.yaml, made the working folder."""
    write_texts(tmp_path / "text")
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump(TINY, sort_keys=False))
    (tmp_path / "config/experiments.yaml").write_text(yaml.safe_dump(EXPERIMENTS, sort_keys=False))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


@pytest.fixture
def tiny(world: Path) -> Config:
    """The configuration of `world`, with its text tokenised."""
    from cpt_dynamics.cli import main

    for name in TINY["corpora"]:
        assert main(["documents", name]) == 0
        assert main(["split", name]) == 0
    assert main(["tokenizer"]) == 0
    for name in TINY["corpora"]:
        assert main(["tokens", name]) == 0
    return configuration.load([])


def pytest_configure(config: pytest.Config) -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")


@contextlib.contextmanager
def small_file_system(folder: Path, size: str) -> Iterator[Path]:
    """A new folder with an empty file system of `size`, such as `1m`; skips the test where none can be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def refused(arguments: list[str], capsys: Any) -> str:
    """The one line with which a command refuses."""
    capsys.readouterr()
    assert main(arguments) == 2
    line: str = capsys.readouterr().err
    assert line.startswith("error: ")
    assert line.count("\n") == 1
    return line
