"""The examples of docs/adding-your-own.md do what the page says, each in a copy of the kit."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from worlds import REPOSITORY
from worlds.tiny import TINY
from worlds.workflow import copy, snakemake

EXAMPLES = REPOSITORY / "docs/examples/own"
# Several commands in one process: importing the kit takes longer than they do.
COMMANDS = (
    "import json, sys; from cpt_dynamics.cli import main; sys.exit(max(main(c) for c in json.loads(sys.argv[1])))"
)


def copied(folder: Path) -> Path:
    """A copy of the package."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    return Path(shutil.copytree(REPOSITORY / "src", folder / "src", ignore=ignored))


def patched(folder: Path, patch: str) -> Path:
    """A copy of the package with a patch applied, as `git apply` does it."""
    source = copied(folder)
    subprocess.run(["git", "apply", EXAMPLES / patch], cwd=folder, check=True)
    return source


def python(source: Path, folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    return done.stdout


def test_data_sets_by_an_entry_and_by_a_rule(tmp_path: Path) -> None:
    clone = copy(tmp_path)
    for file in ("contracts.yaml", "weather.yaml", "weather.smk", "weather.py"):
        shutil.copy(EXAMPLES / file, clone)
    (clone / "texts/contracts").mkdir(parents=True)
    texts = [{"text": f"Article {n}. The party of the first part pays {7 * n % 400} crowns. " * 9} for n in range(400)]
    for part in (0, 1):
        lines = "".join(json.dumps(text) + "\n" for text in texts[part::2])
        (clone / f"texts/contracts/{part}.jsonl").write_text(lines)
    for name in ("contracts", "weather"):
        done = snakemake(clone, "data", "--configfile", f"{name}.yaml")
        assert done.returncode == 0, done.stderr[-3000:]
        counts = json.loads((clone / f"results/{name}/text/{name}/split.json").read_text())
        assert counts["documents"] == 400
        assert (clone / f"results/{name}/tokens/{name}.train.bin").stat().st_size > 1000


def test_a_schedule(tmp_path: Path) -> None:
    source = patched(tmp_path, "schedule.patch")
    scale = {"experiments": ["config/experiments.yaml", str(EXAMPLES / "square.yaml")], "results": str(tmp_path)}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(scale))
    code = (
        "from cpt_dynamics import config, experiments\n"
        f"c = config.load([{str(tmp_path / 'my.yaml')!r}])\n"
        "print(experiments.load(c).runs['cpt_wsd_square'].lr.tolist())\n"
    )
    lr = np.array(json.loads(python(source, REPOSITORY, "-c", code)))
    assert len(lr) == 4500
    decay = lr[-300:]  # the last fifth of 1,500 steps
    share = np.arange(1, 301) / 300
    np.testing.assert_allclose(decay, 1e-4 + 9e-4 * (1 - share**2), rtol=1e-12)


def test_a_law(tmp_path: Path) -> None:
    """By `--law-file`, and as one more file of the kit's folder of laws, where the tests of all laws take it up."""
    own = ["--law-file", str(EXAMPLES / "hyperbolic.py")]
    logs = [f"docs/examples/run_{letter}.csv" for letter in "ab"]
    out = tmp_path / "compared.json"
    which = ["--validation", "code", "--laws", "cpt,cpt_hyperbolic", "--fit-runs", "run_a", "--test-runs", "run_b"]
    how = ["--lambda", "0.987", "--first-step", "200", "--out", str(out)]
    commands = [["laws", "cpt_hyperbolic", *own], ["compare", *logs, *which, *how, *own]]
    said = python(REPOSITORY / "src", REPOSITORY, "-c", COMMANDS, json.dumps(commands))
    assert "beta = 1" in said
    assert "B*E*S1cpt/(1 + E*S1cpt)" in said
    assert "cpt_hyperbolic" in out.read_text()
    source = copied(tmp_path)
    shutil.copy(EXAMPLES / "hyperbolic.py", source / "cpt_dynamics/laws")
    tests = [str(REPOSITORY / "tests/test_laws_forms.py"), "-q", "-k", "hyperbolic", "-p", "no:cacheprovider"]
    assert "passed" in python(source, REPOSITORY, "-m", "pytest", *tests)


def test_a_figure(world: Path) -> None:
    source = world / "kit/src"
    shutil.copytree(REPOSITORY / "src", source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copytree(EXAMPLES / "gains", source / "cpt_dynamics/figures/gains")
    stated, entry = (REPOSITORY / "config/claims.yaml").read_text(), (EXAMPLES / "gains_claims.yaml").read_text()
    Path("config/claims.yaml").write_text(stated.replace("\nplanned:", f"\n{entry}\nplanned:"), encoding="utf-8")
    shutil.copy(REPOSITORY / "config/experiments.yaml", "config/experiments.yaml")
    models = dict.fromkeys(("small", "medium", "large"), TINY["models"]["small"])
    files = ["config/experiments.yaml", str(EXAMPLES / "gains.yaml")]
    scale = {**TINY, "models": models, "experiments": files}
    # the first model is the default
    Path("config/config.yaml").write_text(yaml.safe_dump(scale, sort_keys=False), encoding="utf-8")
    texts = [[stage, name] for name in TINY["corpora"] for stage in ("documents", "split")]
    tokens = [["tokenizer"], *(["tokens", name] for name in TINY["corpora"])]
    check = "from cpt_dynamics import claims; print(claims.load().claims['gains'].criteria['all_gain'].value)"
    assert python(source, world, "-c", check).strip() == "gains.all_gain"
    figure = [["train", "--plan", "--figure", "gains"], ["curves", "gains"], ["analyse", "gains"], ["plot", "gains"]]
    python(source, world, "-c", COMMANDS, json.dumps([*texts, *tokens, *figure]))
    drawn = pd.read_csv("results/tiny/figures/gains.csv")
    assert set(drawn["run"]) == {"cpt_constant", "cpt_wsd", "cpt_cosine"}
    assert (drawn.loc[drawn["role"] == "strong", "after"] < drawn.loc[drawn["role"] == "strong", "before"]).all()
    assert Path("results/tiny/figures/gains.png").stat().st_size > 5000


def test_a_scale(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from cpt_dynamics.cli import main

    monkeypatch.chdir(REPOSITORY)
    assert main(["plan", "--configfile", str(EXAMPLES / "mine.yaml"), "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["branches"] > 50
    assert planned["steps"] == pytest.approx(3 * 156_400, rel=0.02)  # three times as long as the default
