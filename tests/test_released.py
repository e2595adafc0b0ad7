"""Released curves: a folder that is whole or absent, checked when it is read, and as good as the training."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from worlds import REPOSITORY
from worlds.commands import refused, small_file_system
from worlds.released import recommend
from worlds.tiny import EXPERIMENTS, TINY, write_texts

from cpt_dynamics import config as configuration
from cpt_dynamics import experiments
from cpt_dynamics.cli import main
from cpt_dynamics.config import Config
from cpt_dynamics.curves import releasing
from cpt_dynamics.curves.of_figure import of_figure
from cpt_dynamics.curves.released import CONTENTS, Release, seal
from cpt_dynamics.curves.trials import KNOBS
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Experiments
from cpt_dynamics.figures.kit.origin import origin
from cpt_dynamics.report import macros, summary
from cpt_dynamics.report.material import Material

VALUES = {"peak_lr": 0.5, "replay": 0.25, "potential": 0.5}
FIGURES = {
    **EXPERIMENTS["figures"],
    "recommendations": {"title": "Recommended values", "runs": ["trunk", "fork"]},
}
RELEASED = ["--configfile", "released.yaml"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small world whose runs and recommended runs are trained and released."""
    folder = tmp_path_factory.mktemp("trained")
    write_texts(folder / "text")
    # The corpus lies at an absolute path, which nobody else needs to know.
    corpora = {**TINY["corpora"], "prose": {"source": "local", "paths": [str(folder / "text/prose.jsonl")]}}
    (folder / "config").mkdir()
    (folder / "config/config.yaml").write_text(yaml.safe_dump({**TINY, "corpora": corpora}, sort_keys=False))
    (folder / "config/experiments.yaml").write_text(yaml.safe_dump({**EXPERIMENTS, "figures": FIGURES}))
    (folder / "released.yaml").write_text("curves: released\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("OMP_NUM_THREADS", "1")
        for name in corpora:
            assert main(["documents", name]) == main(["split", name]) == 0
        assert main(["tokenizer"]) == 0
        for name in corpora:
            assert main(["tokens", name]) == 0
        assert main(["train", "--plan"]) == 0
        assert main(["curves", "fig02", "recommendations"]) == 0
        recommend(VALUES, folder / "results/tiny/recommended/plan.json")
        for knob in KNOBS:
            assert main(["trial-runs", "--knob", knob]) == 0
        assert main(["release"]) == 0
        yield folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that world as the working folder, but for the text, of which nothing here reads."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("text", "checkpoints"))
    shutil.copytree(trained / "results/tiny/text", tmp_path / "results/tiny/text")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def clone(here: Path) -> Path:
    """What somebody else has: the configuration and the released curves."""
    shutil.rmtree("results")
    shutil.rmtree("data/corpora")
    return here


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def opened() -> tuple[Release, Config, Experiments]:
    config = configuration.load(["released.yaml"])
    return Release.open("data/released/tiny"), config, experiments.load(config)


# --- the same as trained ------------------------------------------------------------------------------------------


def test_curves_of_a_figure_are_bit_for_bit_those_that_were_trained(trained: Path, clone: Path) -> None:
    assert main(["curves", "fig02", "recommendations", *RELEASED]) == 0
    recommend(VALUES, clone / "results/tiny/recommended/plan.json")
    for knob in KNOBS:
        assert main(["trial-runs", "--knob", knob, *RELEASED]) == 0
    made = content(clone / "results/tiny")
    assert len([name for name in made if name.endswith(".parquet")]) == 2 * (2 + len(KNOBS))
    assert made == {name: raw for name, raw in content(trained / "results/tiny").items() if name in made}


def test_manifests_and_corpora_are_those_that_were_trained(trained: Path, clone: Path) -> None:
    there = Material(configuration.load(["released.yaml"]))
    os.chdir(trained)
    here = Material(configuration.load([]))
    assert there.manifests == here.manifests
    assert there.corpora == here.corpora
    assert (there.started, there.finished, there.machines()) == (here.started, here.finished, here.machines())


def test_the_same_results_give_the_same_release(here: Path) -> None:
    assert main(["release", "--out", "again"]) == 0
    assert content(here / "again") == content(here / "data/released/tiny")
    assert main(["release", "--out", "again"]) == 0  # over an earlier one
    assert content(here / "again") == content(here / "data/released/tiny")


def test_released_curves_are_known_as_those_that_fits_were_made_from(here: Path) -> None:
    config = configuration.load([])
    everything, released = experiments.load(config), Release.open("data/released/tiny")
    plan = experiments.plan(everything.runs.values(), config)
    for figure in ("fig02", "recommendations"):
        runs = [everything.runs[name] for name in everything.runs_of(figure)]
        curves, schedules = of_figure(figure, everything, config)
        made_from = origin(figure, curves, schedules, config, everything)
        assert made_from == origin(figure, *released.curves(runs, plan, config), config, everything)
        other = curves.assign(loss=curves["loss"] + 1e-9)
        assert made_from != origin(figure, other, schedules, config, everything)


def test_report_and_summary_say_that_curves_are_released(
    trained: Path, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Material, "fitting_seconds", lambda _: 1.0)  # there are no fits
    material = Material(configuration.load(["released.yaml"]))
    said = macros.provenance(material)
    assert "released ones" in said["CurvesRule"]
    assert macros.clock(material.started) in said["CurvesRule"]
    assert said["TrainedKitVersion"] == said["KitVersion"]
    stated = json.loads((clone / "data/released/tiny" / CONTENTS).read_text())
    found = summary.released(material)
    assert found is not None
    assert found["sha256"] == stated["sha256"]
    os.chdir(trained)
    here = Material(configuration.load([]))
    assert "trained for this report" in macros.provenance(here)["CurvesRule"]
    assert summary.released(here) is None


def test_versions_of_fits_are_those_of_this_machine(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Material, "fitting_seconds", lambda _: 1.0)  # there are no fits
    monkeypatch.setattr("cpt_dynamics.report.material.versions", lambda: {"scipy": "9.9", "cpt_dynamics": None})
    said = macros.provenance(Material(configuration.load(["released.yaml"])))
    assert (said["ScipyVersion"], said["KitVersion"]) == ("9.9", "not installed")
    assert said["TrainedKitVersion"] not in ("9.9", "not installed")


# --- what is not released -----------------------------------------------------------------------------------------


def test_unfinished_work_is_named(here: Path, capsys: Any) -> None:
    before = content(here / "data/released/tiny")
    config = configuration.load([])
    plan = experiments.plan(experiments.load(config).runs.values(), config)
    missing = [name for name in plan.branches if name.startswith("fork")]
    assert len(missing) == 1
    (here / f"results/tiny/branches/{missing[0]}.json").unlink()
    line = refused(["release"], capsys)
    assert "1 of 5 branches are not trained" in line
    assert missing[0] in line
    assert content(here / "data/released/tiny") == before
    assert not refused(["release", "--out", "new"], capsys).count("new")
    assert not (here / "new").exists()


def test_branches_of_differing_text_are_named(here: Path, capsys: Any) -> None:
    manifest = next((here / "results/tiny/branches").glob("fork-*.json"))
    stated = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**stated, "text": {**stated["text"], "lists": "0" * 64}}))
    line = refused(["release"], capsys)
    assert manifest.stem in line
    assert "another text of lists" in line


def test_losses_that_are_not_those_of_the_manifest_are_named(here: Path, capsys: Any) -> None:
    branches = here / "results/tiny/branches"
    trunk, fork = (next(branches.glob(f"{run}-*.parquet")) for run in ("trunk", "fork"))
    shutil.copy(trunk, fork)
    assert fork.name in refused(["release"], capsys)


def test_runs_that_were_recommended_but_not_trained_are_named(here: Path, capsys: Any) -> None:
    recommend({**VALUES, "replay": 0.75}, here / "results/tiny/recommended/plan.json")
    assert "recommended_replay_750" in refused(["release"], capsys)


def test_a_folder_with_something_else_is_left_alone(here: Path, capsys: Any) -> None:
    (here / "mine").mkdir()
    (here / "mine/thesis.tex").write_text("all of it")
    assert "holds no released curves" in refused(["release", "--out", "mine"], capsys)
    assert "holds no released curves" in refused(["release", "--out", "mine/thesis.tex"], capsys)
    assert content(here / "mine") == {"thesis.tex": b"all of it"}


def test_no_place_of_the_machine_is_released(trained: Path, here: Path) -> None:
    parts = [*trained.parts[1:3], str(Path.home()), os.uname().nodename]
    assert str(trained) in (here / "config/config.yaml").read_text()
    for name, raw in content(here / "data/released/tiny").items():
        assert [part for part in parts if part.encode() in raw] == [], name


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("/data/me/minutes/*.jsonl", "*.jsonl"),
        ("~/texts/a.txt", "a.txt"),
        ("skipped '/home/me/a b.txt', unreadable", "skipped 'a b.txt', unreadable"),
        ("https://example.org/a/b.zst", "https://example.org/a/b.zst"),
        ("text/prose.jsonl and MIT/Apache, 1 / 2", "text/prose.jsonl and MIT/Apache, 1 / 2"),
    ],
)
def test_absolute_paths_are_shortened(text: str, without: str) -> None:
    found = releasing.without_places({"a": [text, 1, None]})
    if "a b.txt" in text:  # a space may end a path, what is before it is gone all the same
        assert "/home" not in found["a"][0]
    else:
        assert found == {"a": [without, 1, None]}


def test_a_killed_release_leaves_the_one_before(here: Path) -> None:
    before = content(here / "data/released/tiny")
    code = (
        "import os, signal\nfrom cpt_dynamics.cli import main\nfrom cpt_dynamics.curves import releasing\n"
        "releasing._settings = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)\n"
        "main(['release'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=here, check=False)
    assert done.returncode == -signal.SIGKILL
    assert content(here / "data/released/tiny") == before
    assert main(["release"]) == 0
    assert content(here / "data/released/tiny") == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with small_file_system(tmp_path / "small", "24k") as folder:
        yield folder


def test_a_full_disk_is_one_line_and_leaves_nothing(here: Path, small_disk: Path, capsys: Any) -> None:
    assert "no space left" in refused(["release", "--out", str(small_disk / "tiny")], capsys)
    assert list(small_disk.iterdir()) == []


# --- what is not read ---------------------------------------------------------------------------------------------


def test_every_damaged_or_missing_file_is_named(clone: Path, capsys: Any) -> None:
    folder = clone / "data/released/tiny"
    whole = content(folder)
    assert len(whole) == 12
    for name, raw in whole.items():
        for damaged in (None, b"", raw[:-1], raw + b"\n", raw[: len(raw) // 2] + b"~" + raw[len(raw) // 2 + 1 :]):
            if damaged is None:
                (folder / name).unlink()
            else:
                (folder / name).write_bytes(damaged)
            if name == CONTENTS and damaged in (raw[:-1], raw + b"\n"):
                continue  # the line end of the last line, which states nothing
            assert name in refused(["curves", "fig02", *RELEASED], capsys), (name, damaged)
        (folder / name).write_bytes(raw)
    assert main(["curves", "fig02", *RELEASED]) == 0


def test_any_changed_byte_of_the_list_of_files_is_noticed(clone: Path) -> None:
    path = clone / "data/released/tiny" / CONTENTS
    raw = path.read_bytes()
    stated = json.loads(raw)
    for place in range(0, len(raw), 7):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        try:
            found = Release.open(path.parent).contents
        except UserError:
            continue
        assert found == stated  # a space where a line ended


def test_another_schema_is_refused(clone: Path, capsys: Any) -> None:
    path = clone / "data/released/tiny" / CONTENTS
    stated = {**json.loads(path.read_text()), "schema": "cpt-dynamics/release/2"}
    path.write_text(json.dumps({**stated, "sha256": seal(stated)}))
    line = refused(["curves", "fig02", *RELEASED], capsys)
    assert "'cpt-dynamics/release/2', this kit reads 'cpt-dynamics/release/1'" in line
    path.write_text("[]")
    assert "schema None" in refused(["curves", "fig02", *RELEASED], capsys)


def test_a_scale_without_released_curves_is_told_so(clone: Path, capsys: Any) -> None:
    shutil.rmtree(clone / "data/released/tiny")
    line = refused(["curves", "fig02", *RELEASED], capsys)
    assert "data/released/tiny/release.json does not exist" in line
    assert "`curves: trained`" in line


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": {"weight_decay": 0.2}},
        {"seed": 4},
        {"models": {"small": {"layers": 2}}},
        {"evaluation": {"every": 3}},
        {"split": {"validation_share": 0.1}},
        {"device": {"threads": 2}},
    ],
)
def test_runs_of_another_configuration_are_named(change: dict[str, Any], clone: Path, capsys: Any) -> None:
    (clone / "released.yaml").write_text(yaml.safe_dump({"curves": "released", **change}))
    line = refused(["curves", "fig02", *RELEASED], capsys)
    assert "runs trunk, fork are not those of data/released/tiny" in line
    assert "`curves: trained`" in line
    with pytest.raises(UserError, match="trunk, fork"):
        _ = Material(configuration.load(["released.yaml"])).manifests


def test_another_schedule_is_named(clone: Path, capsys: Any) -> None:
    stated = yaml.safe_load((clone / "config/experiments.yaml").read_text())
    stated["runs"]["fork"]["phases"][0]["schedule"] = {"shape": "cosine", "peak": "last"}
    (clone / "config/experiments.yaml").write_text(yaml.safe_dump(stated))
    assert "run fork are not those" in refused(["curves", "fig02", *RELEASED], capsys)


def test_a_run_that_is_not_released_is_named(clone: Path, capsys: Any) -> None:
    stated = yaml.safe_load((clone / "config/experiments.yaml").read_text())
    stated["runs"]["new"] = {**stated["runs"]["fork"], "at": 12}
    stated["figures"]["fig02"]["runs"].append("new")
    (clone / "config/experiments.yaml").write_text(yaml.safe_dump(stated))
    assert "has no curves of run new:" in refused(["curves", "fig02", *RELEASED], capsys)
    assert main(["curves", "recommendations", *RELEASED]) == 0  # which does without it


def test_fits_may_be_set_otherwise(clone: Path) -> None:
    (clone / "released.yaml").write_text(yaml.safe_dump({"curves": "released", "law": {"lambda": 0.9}}))
    assert main(["curves", "fig02", *RELEASED]) == 0


def test_the_last_bits_of_an_lr_may_differ(clone: Path) -> None:
    release, config, all_runs = opened()
    run = all_runs.runs["trunk"]
    plan = experiments.plan(all_runs.runs.values(), config)
    for factor, same in ((1 + 1e-13, True), (1 + 1e-6, False)):
        other = replace(run, phases=tuple(replace(phase, lr=phase.lr * factor) for phase in run.phases))
        if same:
            table, schedules = release.curves([other], plan, config)
            assert set(table["run"]) == {"trunk"}
            assert (schedules["lr"].to_numpy() == run.lr).all()
        else:
            with pytest.raises(UserError, match="run trunk"):
                release.curves([other], plan, config)


def test_another_recommendation_than_the_released_one_is_said(clone: Path, capsys: Any) -> None:
    recommend({**VALUES, "peak_lr": 0.625}, clone / "results/tiny/recommended/plan.json")
    line = refused(["trial-runs", "--knob", "peak_lr", *RELEASED], capsys)
    assert "the fits recommend 0.625 (w1 = 0.5)" in line
    assert "tried 0.5 (w1 = 0.5)" in line
    assert "`curves: trained`" in line
    assert main(["recommended", "--knob", "replay", *RELEASED]) == 0  # the earlier name of the command


def test_a_figure_without_runs_has_no_curves(here: Path, capsys: Any) -> None:
    stated = yaml.safe_load((here / "config/experiments.yaml").read_text())
    stated["figures"]["printed_fig05"] = {"title": "As printed", "curves": "none"}
    (here / "config/experiments.yaml").write_text(yaml.safe_dump(stated))
    assert "made without runs" in refused(["curves", "printed_fig05"], capsys)


# --- the released curves of the repository ------------------------------------------------------------------------


def repository(folder: Path) -> Path:
    """What a clone of the repository has of the workflow, with the released curves."""
    for part in ("Snakefile", "workflow", "profiles", "paper", "config", "environment.yml", "data/published"):
        source, target = REPOSITORY / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    shutil.copytree(REPOSITORY / "data/released", folder / "data/released")
    (folder / "released.yaml").write_text("curves: released\n")
    return folder


def test_the_default_scale_is_released_as_it_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    config = configuration.load([])
    release = Release.open("data/released/cpu")
    all_runs = experiments.load(config)
    runs = [all_runs.runs[name] for name in all_runs.chosen(None)]
    table, _ = release.curves(runs, experiments.plan(all_runs.runs.values(), config), config)
    assert set(table["run"]) == {run.name for run in runs}
    manifests = release.manifests(runs, config)
    assert {"processor", "cores", "system"} == {key for one in manifests.values() for key in one["machine"]}
    raw = content(REPOSITORY / "data/released/cpu")
    assert sum(map(len, raw.values())) < 3e6
    places = re.compile(rb"/(home|root|work|tmp|Users|mnt|data|opt|srv|var)/[a-z]")
    assert [name for name, text in raw.items() if not name.endswith(".parquet") and places.search(text)] == []


def test_fits_figures_and_tables_need_no_torch(tmp_path: Path) -> None:
    repository(tmp_path)
    calls = [["curves", "fig01"], ["analyse", "fig01"], ["plot", "fig01"], ["report", "--table", "table_corpora"]]
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['torch', 'transformers', 'tokenizers', 'datasets']))  # cannot be imported\n"
        "import cpt_dynamics.cli.trial_plan, cpt_dynamics.cli.summary, cpt_dynamics.cli.findings\n"
        "import cpt_dynamics.cli.trial_runs, cpt_dynamics.cli.plan\n"
        "from cpt_dynamics.cli import main\n"
        f"sys.exit(sum(main([*call, '--configfile', 'released.yaml']) for call in {calls}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for path in ("curves/cpt_wsd.parquet", "fits/fig01.json", "figures/fig01.pdf", "tables/table_corpora.csv"):
        assert (tmp_path / "results/cpu" / path).stat().st_size
    assert "handbook" in (tmp_path / "results/cpu/tables/table_corpora.csv").read_text()


def snakemake(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["snakemake", "--cores", "2", "--config", "curves=released", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


def test_the_workflow_plans_no_corpora_and_no_training(tmp_path: Path) -> None:
    done = snakemake(repository(tmp_path), "-n")
    assert done.returncode == 0, done.stderr[-2000:]
    printed = done.stdout + done.stderr
    counts = dict(re.findall(r"^(\w+) +(\d+)$", printed, flags=re.MULTILINE))
    assert (counts["curves"], counts["trial_runs"], counts["report_sources"]) == ("1", "3", "1")
    assert counts["analyse"] == counts["plot"]
    assert not {"documents", "split", "tokenizer", "tokens", "train", "data", "runs"} & counts.keys()
    merged = yaml.safe_load((tmp_path / "results/cpu/config.yaml").read_text())
    assert merged["curves"] == "released"
    assert merged["scale"] == "cpu"


def test_the_workflow_says_in_one_line_what_is_wrong_with_released_curves(tmp_path: Path) -> None:
    repository(tmp_path)
    other = snakemake(tmp_path, "seed=2", "-n")
    assert other.returncode != 0
    (said,) = (line for line in other.stderr.splitlines() if line.startswith("error: "))
    assert "runs pt_constant, hidden_constant, cpt_constant and 89 more are not those of data/released/cpu" in said
    (tmp_path / "data/released/cpu/plan.json").unlink()
    damaged = snakemake(tmp_path, "-n")
    assert damaged.returncode != 0
    (said,) = (line for line in damaged.stderr.splitlines() if line.startswith("error: "))
    assert "data/released/cpu/plan.json is missing" in said


@pytest.mark.slow
def test_the_whole_report_is_made_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(tmp_path)
    (tmp_path / "blocked/torch").mkdir(parents=True)
    (tmp_path / "blocked/torch/__init__.py").write_text("raise ImportError('torch is not needed here')\n")
    before = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(tmp_path / "blocked"), *([before] if before else [])])
    done = snakemake(tmp_path, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr[-3000:]
    results = tmp_path / "results/cpu"
    assert "released ones" in (results / "report/generated/macros.tex").read_text()
    assert json.loads((results / "summary.json").read_text())["released"]["name"].startswith("cpt-dynamics curves")
    assert not (results / "branches").exists()
    assert not (tmp_path / "data/corpora").exists()
    again = snakemake(tmp_path, "-n")
    assert "Nothing to be done" in again.stdout + again.stderr
    stated = json.loads((tmp_path / "data/released/cpu/results.json").read_text())
    monkeypatch.chdir(tmp_path)
    assert main(["release", "--results", "--configfile", "released.yaml"]) == 0
    made = json.loads((tmp_path / "data/released/cpu/results.json").read_text())
    assert made["findings"].keys() == stated["findings"].keys()
    for claim, one in made["findings"].items():
        assert one["verdict"] == stated["findings"][claim]["verdict"]
    for law, fits in stated["fits"].items():
        for role, fit in fits.items():
            assert made["fits"][law][role]["r2"] == pytest.approx(fit["r2"], abs=1e-4)
