"""Copies of the workflow, what Snakemake says of them, and whether its results are complete."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import yaml

from worlds import REPOSITORY
from worlds.tiny import EXPERIMENTS, TINY, write_texts

FIGURES_OF_THE_PAPER = [f"fig{number:02d}" for number in range(1, 23)]
PARTS = ["Snakefile", "workflow", "profiles", "paper", "data/published", "environment.yml", "config"]


def copy_parts(folder: Path) -> None:
    """What a clone has of the workflow."""
    for part in PARTS:
        source, target = REPOSITORY / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)


def copy(folder: Path) -> Path:
    """The same, with tiny texts and runs as its default scale."""
    copy_parts(folder)
    write_texts(folder / "text")
    (folder / "config/config.yaml").write_text(yaml.safe_dump(TINY, sort_keys=False))
    (folder / "config/experiments.yaml").write_text(yaml.safe_dump(EXPERIMENTS, sort_keys=False))
    return folder


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["snakemake", "--cores", "2", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def idle(done: subprocess.CompletedProcess[str]) -> bool:
    return "Nothing to be done" in done.stdout + done.stderr


def jobs(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """Rule -> number of jobs of a dry run."""
    lines = (done.stdout + done.stderr).splitlines()
    counts = {}
    for line in lines:
        words = line.split()
        if len(words) == 2 and words[0].isidentifier() and words[1].isdigit() and words[0] not in ("total", "job"):
            counts[words[0]] = int(words[1])
    return counts


def complete(results: Path) -> None:
    """Every figure and table of the paper is there, holds something, and is no older than its data."""
    entries = yaml.safe_load((REPOSITORY / "config/experiments.yaml").read_text())["figures"]
    for figure in FIGURES_OF_THE_PAPER:
        table, fit = results / f"figures/{figure}.csv", results / f"fits/{figure}.json"
        drawn = results / f"figures/{figure}.pdf"
        assert drawn.read_bytes().startswith(b"%PDF"), figure
        assert len(pd.read_csv(table)), figure
        assert json.loads(fit.read_text())["figure"] == figure
        assert min(drawn.stat().st_mtime, table.stat().st_mtime) >= fit.stat().st_mtime, figure
        for run in {*entries[figure].get("runs", []), *entries[figure].get("heldout", [])}:
            assert fit.stat().st_mtime >= (results / f"curves/{run}.parquet").stat().st_mtime, figure
    for name in ("table1", "table2"):
        assert len(pd.read_csv(results / f"tables/{name}.csv")), name
