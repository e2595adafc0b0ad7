"""Speed and memory of reading and tokenising, measured on generated text of any size."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cpt_dynamics.errors import UserError
from cpt_dynamics.files import read_json

WORDS = 50_000  # distinct words of the generated text
WORDS_A_DOCUMENT = 400  # on average
STAGES = ("documents", "split", "tokens")


def measure(megabytes: float, vocabulary: int, threads: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Read, split and encode generated text, each stage in a process of its own.

    Parameters
    ----------
    megabytes : size of the text
    vocabulary : entries of the tokenizer, which is trained on the first 4 MB
    threads : threads of the tokenizer
    say : called with a line after each stage

    Returns
    -------
    dict
        `documents`, `bytes_per_token`, `sha256` of the two token files, and for each stage (`documents`, `split`,
        `tokens`) `seconds`, `cpu_seconds`, `megabytes_per_cpu_second` and `peak_megabytes`, the largest resident
        memory of its process.
    """
    if megabytes < 1:
        raise UserError("--megabytes must be at least 1: the tokenizer is trained on the text")
    found: dict[str, Any] = {"megabytes": megabytes, "vocabulary": vocabulary, "threads": threads}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _configure(folder, megabytes, vocabulary)
        with (folder / "text.jsonl").open("w") as out:
            out.writelines(json.dumps({"text": text}) + "\n" for text in generate(megabytes * 1e6))
        for stage in ("documents", "split", "tokenizer", "tokens"):
            used = _run([stage] if stage == "tokenizer" else [stage, "made"], folder, threads)
            if stage in STAGES:
                found[stage] = {**used, "megabytes_per_cpu_second": round(megabytes / used["cpu_seconds"], 2)}
                say(f"{stage}: {json.dumps(found[stage])}")
        parts = [read_json(folder / f"results/bench/tokens/made.{part}.json") for part in ("train", "validation")]
    sizes = {key: sum(part[key] for part in parts) for key in ("documents", "bytes", "count")}
    found["documents_read"] = sizes["documents"]
    found["bytes_per_token"] = round(sizes["bytes"] / sizes["count"], 2)
    return {**found, "sha256": [part["sha256"] for part in parts]}


def generate(size: float, seed: int = 0) -> Iterator[str]:
    """Documents of about `size` bytes in all: words of random letters, as frequent as Zipf's law has it."""
    random = np.random.default_rng(seed)
    lengths = random.integers(2, 12, WORDS)
    letters = random.integers(ord("a"), ord("z") + 1, lengths.sum(), dtype=np.uint8).tobytes().decode()
    ends = np.cumsum(lengths)
    words = np.array([letters[end - length : end] for end, length in zip(ends, lengths, strict=True)])
    shares = 1 / np.arange(1, WORDS + 1)
    cumulative = np.cumsum(shares / shares.sum())
    while size > 0:
        drawn = np.searchsorted(cumulative, random.random(random.integers(10, 2 * WORDS_A_DOCUMENT)))
        text = " ".join(words[np.minimum(drawn, WORDS - 1)])
        size -= len(text)
        yield text


def _configure(folder: Path, megabytes: float, vocabulary: int) -> None:
    """A configuration with one corpus; what training needs is there because every scale has it."""
    config = {
        "scale": "bench",
        "corpora": {"made": {"source": "local", "paths": ["text.jsonl"]}},
        "roles": {"general": "made", "strong": "made", "weak": "made"},
        "split": {"maximum_megabytes": 2 * megabytes},
        "tokenizer": {"vocabulary": vocabulary, "shares": {"general": 1.0}},
        "models": {"small": {"layers": 1, "width": 16, "heads": 2, "feedforward": 32}},
        "optimizer": {"peak_lr": 1e-3},
        "batch": {"sequences": 8, "length": 64},
        "lengths": {"pretraining": 8, "continual": 4, "warmup": 1, "rewarmup": 1},
        "evaluation": {"tokens": 512, "out_of_domain_tokens": 512, "every": 4, "dense": 1},
    }
    (folder / "config").mkdir()
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def _run(command: list[str], folder: Path, threads: int) -> dict[str, float]:
    """Time, CPU time and peak memory of a command of the kit, its imports included."""
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads), "PYTHONPATH": os.pathsep.join(sys.path)}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "cpt_dynamics", *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise UserError(f"cpt-dynamics {' '.join(command)} failed: {said.strip().splitlines()[-1:]}")
    kibibytes = 1024 if sys.platform == "darwin" else 1  # what ru_maxrss counts in differs
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_megabytes": round(usage.ru_maxrss / kibibytes * 1024 / 1e6),
    }
