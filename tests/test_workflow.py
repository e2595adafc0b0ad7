"""The DAG: it plans from a fresh copy, takes data sets of one's own, reruns what changed, and runs from end to end."""

import importlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from worlds import REPOSITORY
from worlds.tiny import EXPERIMENTS, TINY
from worlds.workflow import FIGURES_OF_THE_PAPER, complete, copy, copy_parts, idle, jobs, snakemake

from cpt_dynamics import figures
from cpt_dynamics.report import TABLES


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy(tmp_path_factory.mktemp("clone"))


def test_the_front_door_plans_the_whole_default_scale(tmp_path: Path) -> None:
    copy_parts(tmp_path)
    planned = jobs(snakemake(tmp_path, "-n"))
    assert planned["train"] == 92
    assert planned["plot"] == 32  # 22 of the paper, 5 of the kit, 5 from print; public curves are not here
    assert planned["trial_runs"] == 3
    only = jobs(snakemake(tmp_path, "-n", "fig02"))
    assert only["train"] == 6  # the trunk, its continuation, three transfers and the one that is predicted
    assert only["plot"] == 1
    assert only["curves"] == 6  # one for each of its runs


def test_a_changed_run_is_the_only_one_whose_curve_is_made_again(clone: Path) -> None:
    tables = [f"results/tiny/curves/{run}.parquet" for run in ("trunk", "fork")]
    done = snakemake(clone, *tables)
    assert done.returncode == 0, done.stderr[-3000:]
    assert idle(snakemake(clone, "-n", *tables))
    (manifest,) = (clone / "results/tiny/branches").glob("fork-*.json")
    manifest.write_text(manifest.read_text() + " ")
    assert jobs(snakemake(clone, "-n", *tables)) == {"curves": 1}


def test_runs_are_trained_once_and_retrained_only_for_what_changed(clone: Path) -> None:
    done = snakemake(clone, "runs")
    assert done.returncode == 0, done.stderr[-3000:]
    curves = list((clone / "results/tiny/branches").glob("*.parquet"))
    assert len(curves) == 2
    assert idle(snakemake(clone, "-n", "runs"))
    why = subprocess.run(["cpt-dynamics", "why", "runs"], cwd=clone, capture_output=True, text=True, check=True)
    assert "nothing would run" in why.stdout
    longer = {**TINY, "law": {"lambda": 0.9}}  # a choice of the fits
    (clone / "config/config.yaml").write_text(yaml.safe_dump(longer, sort_keys=False))
    assert idle(snakemake(clone, "-n", "runs"))
    reseeded = {**TINY, "seed": 4}
    (clone / "config/config.yaml").write_text(yaml.safe_dump(reseeded, sort_keys=False))
    assert jobs(snakemake(clone, "-n", "runs"))["train"] == 2
    (clone / "config/config.yaml").write_text(yaml.safe_dump(TINY, sort_keys=False))


def test_only_new_branches_are_trained(clone: Path) -> None:
    assert snakemake(clone, "runs").returncode == 0
    before = {path.name for path in (clone / "results/tiny/branches").glob("*.parquet")}
    for number in range(200):
        (clone / f"text/poem-{number}.txt").write_text(f"A poem, the {number}th, of some words and a rhyme. " * 20)
    with_data = {**TINY, "corpora": {**TINY["corpora"], "poems": {"source": "local", "paths": ["text/poem-*.txt"]}}}
    leaving = {
        **EXPERIMENTS["runs"]["fork"],
        "phases": [{**EXPERIMENTS["runs"]["fork"]["phases"][0], "data": {"poems": 1}}],
    }
    entries = {**EXPERIMENTS["figures"], "fig06": {"title": "Another domain", "runs": ["trunk", "poems"]}}
    more = {"runs": {**EXPERIMENTS["runs"], "poems": leaving}, "figures": entries}
    (clone / "config/config.yaml").write_text(yaml.safe_dump(with_data, sort_keys=False))
    (clone / "config/experiments.yaml").write_text(yaml.safe_dump(more, sort_keys=False))
    planned = jobs(snakemake(clone, "-n", "runs"))
    assert planned["train"] == 1
    assert planned["documents"] == planned["split"] == planned["tokens"] == 1
    done = snakemake(clone, "runs")
    assert done.returncode == 0, done.stderr[-3000:]
    after = {path.name for path in (clone / "results/tiny/branches").glob("*.parquet")}
    (new,) = after - before
    losses = pd.read_parquet(clone / "results/tiny/branches" / new)
    assert {"prose", "lists", "rules", "poems"} == set(losses["validation"])
    other = {**entries, "fig17": {"title": "The same run in another figure", "runs": ["trunk", "fork"]}}
    (clone / "config/experiments.yaml").write_text(yaml.safe_dump({**more, "figures": other}, sort_keys=False))
    assert idle(snakemake(clone, "-n", "runs"))
    (clone / "results/tiny/branches" / new).unlink()
    again = snakemake(clone, "-n", "runs")
    assert jobs(again)["train"] == 1
    (clone / "config/config.yaml").write_text(yaml.safe_dump(TINY, sort_keys=False))
    (clone / "config/experiments.yaml").write_text(yaml.safe_dump(EXPERIMENTS, sort_keys=False))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sead": 1}, "unknown key 'sead'"),
        ({"batch": {"sequences": -1, "length": 16}}, "batch.sequences"),
        ({"roles": {**TINY["roles"], "strong": "nothing"}}, "roles.strong names 'nothing'"),
        ({"lengths": {**TINY["lengths"], "warmup": 30}}, "warm-up of 30 steps does not fit into a phase of 24"),
    ],
)
def test_a_mistake_in_the_configuration_is_one_line(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    copy(tmp_path)
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump({**TINY, **change}, sort_keys=False))
    done = snakemake(tmp_path, "-n")
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if said in line]
    assert len(lines) == 1, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_the_smoke_scale_runs_from_end_to_end(tmp_path: Path) -> None:
    copy_parts(tmp_path)
    smoke = ("--configfile", "config/scales/smoke.yaml")
    done = snakemake(tmp_path, *smoke)
    assert done.returncode == 0, done.stderr[-3000:]
    results = tmp_path / "results/smoke"
    summary = json.loads((results / "summary.json").read_text())
    assert summary["steps_trained"] < summary["steps_unshared"]
    claims = yaml.safe_load((tmp_path / "config/claims.yaml").read_text())["claims"]
    assert set(summary["findings"]) == {name for name, one in claims.items() if "shown_in" not in one}
    complete(results)
    if shutil.which("latexmk"):
        assert (results / "report/report.pdf").stat().st_size > 50_000
    assert idle(snakemake(tmp_path, "-n", *smoke))
    # What is deleted is made again, with what depends on it, and nothing else.
    (results / "figures/fig05.pdf").unlink()
    assert jobs(snakemake(tmp_path, "-n", *smoke)).keys() == {
        "plot",
        "report_sources",
        "report_pdf",
        "summary",
        "default",
    }
    assert jobs(snakemake(tmp_path, "-n", "fig05", *smoke)) == {"plot": 1, "fig05": 1}
    (results / "fits/fig14.json").unlink()
    again = jobs(snakemake(tmp_path, "-n", *smoke))
    assert (again["analyse"], again["plot"]) == (1, 2)  # Figure 5 is still missing
    assert not {"train", "trial_runs", "curves"} & again.keys()


def test_every_figure_and_table_of_the_paper_has_its_parts() -> None:
    entries = yaml.safe_load((REPOSITORY / "config/experiments.yaml").read_text())["figures"]
    assert set(FIGURES_OF_THE_PAPER) <= set(entries) <= set(figures.names())
    for figure in entries:
        assert figure == figures.result_type(figure).FIGURE
        for part in ("analyse", "draw", "text"):
            assert callable(getattr(importlib.import_module(f"{figures.package(figure)}.{part}"), part))
    assert {"table1", "table2"} <= set(TABLES)
