"""The air gap: what goes to a machine without a network, what comes home, and what is refused."""

import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import worlds.results
import yaml
from worlds import REPOSITORY
from worlds.bundles import flipped, planned, wheel
from worlds.tiny import CONSTANT, EXPERIMENTS, TINY
from worlds.workflow import copy, idle, jobs, snakemake

from cpt_dynamics import __version__, experiments
from cpt_dynamics import config as configuration
from cpt_dynamics.cli import main
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import digest, read_json, read_table, sealed, write_json
from cpt_dynamics.layout import BRANCH_SCHEMA, Layout
from cpt_dynamics.slots import bundle
from cpt_dynamics.training import branch as training
from cpt_dynamics.training import work

Place = Callable[[], Path]


@pytest.fixture
def home(tiny: Config, world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of `tiny`, the working folder."""
    monkeypatch.setattr(bundle, "kit_wheel", wheel)
    return world


def unpack(file: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpack a bundle and go into it."""
    folder.mkdir()
    subprocess.run(["tar", "xf", str(file), "-C", str(folder)], check=True)
    (inside,) = folder.iterdir()
    monkeypatch.chdir(inside)


def snapshot(folder: Path) -> dict[str, str]:
    """Every file below a folder -> its content and date."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p): f"{hashlib.sha256(p.read_bytes()).hexdigest()} {p.stat().st_mtime_ns}" for p in files}


# --- round trips -------------------------------------------------------------------------------------------------


def test_round_trip(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert main(["bundle", "--out", "work.tar"]) == 0
    assert "work.tar: 2 branches to train, 36 steps" in capsys.readouterr().out
    _, plan = planned()
    hidden = shutil.move(home / "text", tmp_path / "hidden")  # nothing there reads what only home has
    unpack(home / "work.tar", tmp_path / "away", monkeypatch)
    assert planned()[1].branches.keys() == plan.branches.keys()
    readme = Path("README.md").read_text(encoding="utf-8")
    assert main(["train", "--plan"]) == 0
    assert main(["bundle", "--results", "--out", str(tmp_path / "results.tar")]) == 0
    away = Path.cwd()
    for command in ("cpt-dynamics train --plan", "cpt-dynamics bundle --results --out tiny-results.tar"):
        assert f"    {command}\n" in readme
    monkeypatch.chdir(home)
    shutil.move(hidden, home / "text")
    capsys.readouterr()
    began = time.time_ns()
    assert main(["unbundle", str(tmp_path / "results.tar")]) == 0
    assert capsys.readouterr().out == "2 branches taken as done; 2 of 2 are done\n"
    dates = []
    for name in plan.branches:
        for suffix in (".parquet", ".json"):
            path = Path(f"results/tiny/branches/{name}{suffix}")
            assert path.read_bytes() == (away / path).read_bytes()
            dates.append(path.stat().st_mtime_ns)
    assert dates == sorted(dates)  # parents first
    assert dates[0] >= began - 10**7  # the clock of files is coarser
    training.train(plan.branches.values(), plan, configuration.load([]), skip_done=True)
    assert capsys.readouterr().out.count("done before") == 2
    assert main(["unbundle", str(tmp_path / "results.tar")]) == 0
    assert "0 branches taken as done, 2 were here before" in capsys.readouterr().out


@pytest.mark.slow
def test_round_trip_of_the_workflow_without_a_network(tmp_path: Path) -> None:
    """From a clone, by commands alone; afterwards Snakemake has nothing to train."""
    folder = copy(tmp_path / "home")
    made = snakemake(folder, "data")
    assert made.returncode == 0, made.stderr[-3000:]
    assert jobs(snakemake(folder, "-n", "runs"))["train"] == 2
    command(folder, "bundle", "--out", str(tmp_path / "work.tar"))
    (tmp_path / "away").mkdir()
    subprocess.run(["tar", "xf", "work.tar", "-C", "away"], cwd=tmp_path, check=True)
    away = tmp_path / "away/tiny-bundle"
    folder.rename(tmp_path / "out of sight")
    can_cut = subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode == 0
    without = ["unshare", "-n"] if can_cut else []
    command(away, "train", "--plan", "--processes", "2", before=without)
    command(away, "bundle", "--results", "--out", str(tmp_path / "results.tar"), before=without)
    (tmp_path / "out of sight").rename(folder)
    assert "2 branches taken as done" in command(folder, "unbundle", str(tmp_path / "results.tar"))
    planned = snakemake(folder, "-n", "runs")
    assert idle(planned), planned.stdout[-3000:]
    left = jobs(snakemake(folder, "-n", "fig02"))
    assert (left["curves"], left["analyse"], left["plot"]) == (2, 1, 1)  # a job a run
    assert "train" not in left
    # The losses are those that home would have measured.
    shutil.copytree(folder / "results/tiny/branches", tmp_path / "trained there")
    shutil.rmtree(folder / "results/tiny/branches")
    rule = folder / "workflow/rules/training.smk"
    now = rule.read_text()
    rule.write_text(now.replace("parent=parent,", "parent=parent,\n        more='Snakefile',"))  # an earlier kit
    assert snakemake(folder, "runs").returncode == 0
    rule.write_text(now)
    for path in (tmp_path / "trained there").glob("*.parquet"):
        here = read_table(folder / "results/tiny/branches" / path.name, BRANCH_SCHEMA)
        pd.testing.assert_frame_equal(here, read_table(path, BRANCH_SCHEMA), check_exact=True)
    # The records of that training, from other inputs, do not stand against what comes home.
    assert jobs(snakemake(folder, "-n", "runs"))["train"] == 2
    shutil.rmtree(folder / "results/tiny/branches")
    assert "2 branches taken as done; 2 of 2 are done" in command(folder, "unbundle", str(tmp_path / "results.tar"))
    planned = snakemake(folder, "-n", "runs")
    assert idle(planned), planned.stdout[-3000:]


def command(folder: Path, *arguments: str, before: list[str] | None = None) -> str:
    """What a command prints that must succeed."""
    line = [*(before or []), sys.executable, "-m", "cpt_dynamics", *arguments]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


# --- the work ----------------------------------------------------------------------------------------------------


def members(file: Path) -> list[str]:
    with tarfile.open(file) as tar:
        return [member.name.partition("/")[2] for member in tar]


def contents(file: Path) -> dict[str, Any]:
    with tarfile.open(file) as tar:
        first = tar.next()
        assert first is not None
        return dict(json.load(tar.extractfile(first)))  # type: ignore[arg-type]


def test_a_bundle_holds_what_its_branches_need_and_states_it(home: Path) -> None:
    (home / "packages").mkdir()
    (home / "packages/numpy-2.4.6-py3-none-any.whl").write_text("another wheel")
    (home / "packages/cpt_dynamics-0.0.1-py3-none-any.whl").write_text("an old one")
    assert main(["bundle", "--out", "work.tar", "--wheels", "packages"]) == 0
    names = members(home / "work.tar")
    tokens = [f"{c}.{p}.{s}" for c in TINY["corpora"] for p in ("train", "validation") for s in ("bin", "json")]
    assert names[0] == "bundle.json"
    assert set(names[1:]) == {
        "README.md",
        "config/config.yaml",
        "config/experiments-1.yaml",
        "requirements.lock",
        "results/tiny/tokenizer.json",
        *(f"results/tiny/tokens/{name}" for name in tokens),
        f"wheels/cpt_dynamics-{__version__}-py3-none-any.whl",
        "wheels/numpy-2.4.6-py3-none-any.whl",
    }
    stated = contents(home / "work.tar")
    assert (stated["kit"], stated["kind"], stated["scale"]) == (__version__, "work", "tiny")
    assert stated["work"] == dict.fromkeys(planned()[1].branches, "new")
    with tarfile.open(home / "work.tar") as tar:
        for member in stated["members"]:
            data = tar.extractfile(f"tiny-bundle/{member['path']}").read()  # type: ignore[union-attr]
            assert (len(data), hashlib.sha256(data).hexdigest()) == (member["size"], member["sha256"])


def test_the_same_content_gives_the_same_file(home: Path) -> None:
    for name in ("one.tar", "two.tar"):
        assert main(["bundle", "--out", name]) == 0
        for path in (home / "results").rglob("*"):
            os.utime(path)
    assert (home / "one.tar").read_bytes() == (home / "two.tar").read_bytes()


@pytest.mark.parametrize("scale", [[], ["config/scales/smoke.yaml"], ["config/scales/paper.yaml"]])
def test_the_packed_configuration_names_the_same_branches(
    scale: list[str | Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    if missing := [path for path in scale if not Path(path).exists()]:
        pytest.skip(f"there is no {missing[0]}")
    config = configuration.load(scale)
    runs = experiments.load(config).runs
    files = bundle._settings(config, tmp_path)
    assert files["config/experiments-1.yaml"] == Path("config/experiments.yaml")
    raw = configuration.read_yaml(files["config/config.yaml"])
    packed = configuration.parse({**raw, "experiments": config.experiments}, "packed")
    there = experiments.plan(experiments.load(packed).runs.values(), packed).branches
    assert there.keys() == experiments.plan(runs.values(), config).branches.keys()
    assert (packed.results, packed.custom_rules) == ("results", [])


def test_only_what_a_figure_needs_and_only_what_is_not_done(home: Path, capsys: Any) -> None:
    more = {
        "runs": {**EXPERIMENTS["runs"], "other": EXPERIMENTS["runs"]["trunk"] | {"models": ["small"], "seeds": 2}},
        "figures": {**EXPERIMENTS["figures"], "fig03": {"title": "Another", "runs": ["other", "other.seed2"]}},
    }
    (home / "config/experiments.yaml").write_text(yaml.safe_dump(more, sort_keys=False))
    config, plan = planned()
    trunk, fork, seed2 = plan.branches.values()
    needed = plan.needed(["other", "other.seed2"])
    assert bundle.work_left(needed, plan, config) == {trunk.id: "new", seed2.id: "new"}
    pretend_done(trunk.id, config)
    assert bundle.work_left(needed, plan, config) == {seed2.id: "new"}
    # A fork needs the checkpoint of its parent, which is trained again for it.
    everything = bundle.work_left(plan.branches.values(), plan, config)
    assert everything == {trunk.id: "again", fork.id: "new", seed2.id: "new"}
    assert main(["bundle", "--out", "work.tar", "--figure", "fig03"]) == 0
    assert contents(home / "work.tar")["work"] == {seed2.id: "new"}
    assert main(["bundle", "--out", "work.tar"]) == 0
    said = capsys.readouterr().out
    assert f"1 of them ({trunk.id}) are done here and trained again there" in said
    pretend_done(fork.id, config)
    pretend_done(seed2.id, config)
    assert main(["bundle", "--out", "other.tar"]) == 2
    assert "every branch is done here" in capsys.readouterr().err
    assert not Path("other.tar").exists()


def pretend_done(name: str, config: Config, loss: float = 2.0) -> None:
    """Files of a finished branch, without training it."""
    worlds.results.pretend_done(planned()[1].branches[name], config, loss)


def test_with_checkpoints_a_finished_parent_is_not_trained_again(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    config, plan = planned()
    trunk, fork = plan.branches.values()
    training.train(plan.branches.values(), plan, config)
    losses = {name: read_table(Layout(config).branch(name), BRANCH_SCHEMA) for name in plan.branches}
    for suffix in (".parquet", ".json"):
        Layout(config).branch(fork.id).with_suffix(suffix).unlink()
    assert main(["bundle", "--out", "work.tar", "--checkpoints"]) == 0
    unpack(home / "work.tar", tmp_path / "away", monkeypatch)
    assert len(list(Path("results/tiny/checkpoints").glob("*/state.safetensors"))) == 2  # steps 14 and 24
    for _ in range(2):  # what is there is checked before each
        assert main(["train", "--plan"]) == 0
    started = {name: read_json(Path(f"results/tiny/branches/{name}.json"))["started_from_step"] for name in losses}
    assert started == {trunk.id: 24, fork.id: 14}
    for name, table in losses.items():
        there = read_table(f"results/tiny/branches/{name}.parquet", BRANCH_SCHEMA)
        pd.testing.assert_frame_equal(there, table, check_exact=True)
    assert main(["bundle", "--results", "--out", str(tmp_path / "results.tar")]) == 0
    assert contents(tmp_path / "results.tar")["branches"] == [fork.id]
    monkeypatch.chdir(home)
    before = Layout(config).branch(trunk.id).with_suffix(".json").read_bytes()
    assert main(["unbundle", str(tmp_path / "results.tar")]) == 0
    assert Layout(config).branch(trunk.id).with_suffix(".json").read_bytes() == before
    shutil.rmtree(Layout(config).checkpoints)
    Layout(config).branch(fork.id).unlink()
    capsys.readouterr()
    assert main(["bundle", "--out", "work.tar", "--checkpoints"]) == 0
    assert f"{trunk.id}: there is no checkpoint of step 14 here" in capsys.readouterr().out
    assert not [name for name in members(home / "work.tar") if "checkpoints" in name]


def test_a_pretrained_model_in_a_folder_travels(home: Path, capsys: Any) -> None:
    (home / "models/base").mkdir(parents=True)
    for name in ("model.safetensors", "config.json", "tokenizer.json", "pytorch_model.bin"):
        (home / "models/base" / name).write_text(name)
    hub, absolute = "owner/name@" + 40 * "0", str(home / "models/base")
    for where, travels in (("models/base", True), (hub, False), (absolute, False)):
        raw = {**TINY, "models": {"base": {"pretrained": where}}, "tokenizer": {"pretrained": where}}
        (home / "config/config.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
        assert main(["bundle", "--out", "work.tar"]) == 0
        packed = {name for name in members(home / "work.tar") if name.startswith("models/")}
        expected = {"models/base/model.safetensors", "models/base/config.json", "models/base/tokenizer.json"}
        assert packed == (expected if travels else set())
        assert ("is not in the bundle" in capsys.readouterr().out) is not travels


def test_files_that_came_over_damaged_are_not_trained_from(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert main(["bundle", "--out", "work.tar"]) == 0
    unpack(home / "work.tar", tmp_path / "away", monkeypatch)
    shutil.rmtree("wheels")  # installed, and no longer needed
    assert work.wanted(planned()[1].branches) == planned()[1].branches.keys()
    for path in (Path("results/tiny/tokens/lists.train.bin"), Path("results/tiny/tokenizer.json")):
        whole = path.read_bytes()
        path.write_bytes(flipped(whole, len(whole) // 2))
        assert main(["train", "--plan"]) == 2
        assert f"{path} is not as it was packed" in capsys.readouterr().err
        path.write_bytes(whole)
    path.unlink()
    assert main(["train", "--plan"]) == 2
    assert f"{path} is not as it was packed" in capsys.readouterr().err
    assert not Path("results/tiny/branches").exists()


def test_what_is_missing_at_home_is_one_line(home: Path, capsys: Any) -> None:
    path = Path("results/tiny/tokens/lists.validation.bin")
    whole = path.read_bytes()
    path.write_bytes(flipped(whole, 100))
    assert main(["bundle", "--out", "work.tar"]) == 2
    assert f"{path} does not fit" in capsys.readouterr().err
    path.unlink()
    assert main(["bundle", "--out", "work.tar"]) == 2
    assert f"{path} does not exist: make it with `snakemake --cores all {path}`" in capsys.readouterr().err
    path.write_bytes(whole)
    assert main(["bundle", "--out", "work.tar", "--wheels", "text"]) == 2
    assert "text has no packages" in capsys.readouterr().err
    assert main(["bundle", "--results", "--out", "work.tar"]) == 2
    assert "no branch is done here" in capsys.readouterr().err
    assert main(["bundle", "--results", "--out", "work.tar", "--checkpoints"]) == 2
    assert "--results packs what is done here" in capsys.readouterr().err
    assert not Path("work.tar").exists()


def test_a_full_disk_is_one_line_and_leaves_nothing(home: Path, small_disk: Path, capsys: Any) -> None:
    assert main(["bundle", "--out", str(small_disk / "work.tar")]) == 2
    said = f"error: no space left for {small_disk / 'work.tar'}: free some disk space and run again\n"
    assert capsys.readouterr().err == said
    assert list(small_disk.iterdir()) == []
    config, plan = planned()
    for name in plan.branches:
        pretend_done(name, config)
    assert main(["bundle", "--results", "--out", "results.tar"]) == 0
    shutil.rmtree("results/tiny/branches")
    (small_disk / "branches").mkdir()
    Path("results/tiny/branches").symlink_to(small_disk / "branches")
    with (small_disk / "ballast").open("wb") as ballast, contextlib.suppress(OSError):
        while True:
            os.write(ballast.fileno(), bytes(4096))
    assert main(["unbundle", "results.tar"]) == 2
    assert "no space left for" in capsys.readouterr().err
    assert list((small_disk / "branches").iterdir()) == []
    (small_disk / "ballast").unlink()
    assert main(["unbundle", "results.tar"]) == 0


@pytest.mark.slow
def test_the_wheel_of_the_kit_is_the_same_every_time_and_works(tmp_path: Path) -> None:
    first, second = (bundle.kit_wheel(REPOSITORY, tmp_path / name) for name in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", str(tmp_path / "site"), str(first)], check=True)
    where = "import cpt_dynamics.cli.train, cpt_dynamics; print(cpt_dynamics.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    ran = subprocess.run([sys.executable, "-c", where], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.stdout.strip() == str(tmp_path / "site/cpt_dynamics/__init__.py"), ran.stderr


def test_a_wheel_that_cannot_be_built_is_one_line(tmp_path: Path) -> None:
    for part in bundle.SOURCES:
        (tmp_path / part).write_text("this is no project")
    with pytest.raises(UserError, match=r"the wheel of the kit could not be built \(.+\)"):
        bundle.kit_wheel(tmp_path, tmp_path / "wheels")


# --- the results -------------------------------------------------------------------------------------------------


@pytest.fixture
def results(home: Path, tmp_path: Path) -> Path:
    """A bundle of results of `home`, where nothing is done."""
    config, plan = planned()
    for name in plan.branches:
        pretend_done(name, config)
    assert main(["bundle", "--results", "--out", str(tmp_path / "results.tar")]) == 0
    shutil.rmtree(home / "results/tiny/branches")
    return tmp_path / "results.tar"


def refused(file: Path, capsys: Any, *options: str) -> str:
    """What is said about a bundle that is not taken, in one line and without a change to any file."""
    before = snapshot(Path("results"))
    capsys.readouterr()
    assert main(["unbundle", str(file), *options]) == 2
    said = str(capsys.readouterr().err)
    assert snapshot(Path("results")) == before
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


def test_a_bundle_of_results_that_is_cut_anywhere_is_refused(results: Path, tmp_path: Path, capsys: Any) -> None:
    data = results.read_bytes()
    with tarfile.open(results) as tar:
        inside = tar.getmembers()
    end = inside[-1].offset_data + inside[-1].size
    chance = random.Random(5)
    edges = [member.offset_data for member in inside]
    for size in [0, 1, 511, 512, *edges, *(chance.randrange(end) for _ in range(25)), end - 1]:
        (tmp_path / "cut.tar").write_bytes(data[:size])
        assert "copy" in refused(tmp_path / "cut.tar", capsys), size


def test_a_flipped_byte_of_any_file_is_refused(results: Path, tmp_path: Path, capsys: Any) -> None:
    data = results.read_bytes()
    with tarfile.open(results) as tar:
        inside = tar.getmembers()
    chance = random.Random(6)
    for member in inside:
        for at in (member.offset_data, member.offset_data + chance.randrange(member.size), member.offset + 2):
            (tmp_path / "flipped.tar").write_bytes(flipped(data, at))
            refused(tmp_path / "flipped.tar", capsys)
    assert main(["unbundle", str(results)]) == 0


Files = dict[str, bytes]


def repacked(file: Path, out: Path, change: Callable[[Files], Files], restate: bool = True) -> Path:
    """The same bundle with other files; `restate`: their digests in bundle.json are those of the new content."""
    with tarfile.open(file) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    first = next(iter(files))
    stated = json.loads(files.pop(first))
    files = change(files)
    if restate:
        stated["members"] = [
            {"path": name.partition("/")[2], "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        ]
        stated["branches"] = [Path(name).stem for name in files if name.endswith(".parquet")]
    with tarfile.open(out, "w") as tar:
        for name, data in {first: json.dumps(stated).encode(), **files}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out


def test_files_that_do_not_belong_are_refused(results: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "other.tar"

    def outside(files: Files) -> Files:
        return {**files, "../../../outside.txt": b"taken"}

    def absolute(files: Files) -> Files:
        return {**files, str(tmp_path / "outside.txt"): b"taken"}

    for change in (outside, absolute):
        for restate in (True, False):
            refused(repacked(results, out, change, restate), capsys)
    assert not list(tmp_path.rglob("outside.txt"))

    # A link in the place of a file, which would be written through.
    with tarfile.open(results) as tar, tarfile.open(out, "w") as changed:
        for number, member in enumerate(tar.getmembers()):
            if number == 1:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
                changed.addfile(member)
            else:
                changed.addfile(member, tar.extractfile(member))
    assert "does not state" in refused(out, capsys)


def test_branches_of_another_configuration_or_text_are_refused(
    results: Path, home: Path, tmp_path: Path, capsys: Any
) -> None:
    trunk, fork = planned()[1].branches
    (home / "other.yaml").write_text("seed: 9\n")
    (home / "scale.yaml").write_text("scale: another\n")
    foreign = f"{trunk} is no branch of this configuration (2 of 2"
    assert foreign in refused(results, capsys, "--configfile", "other.yaml")
    assert "does not exist: make it" in refused(results, capsys, "--configfile", "scale.yaml")
    shutil.copytree("results/tiny", "results/another")
    scales = "has results of the scale 'tiny', the configuration is of 'another'"
    assert scales in refused(results, capsys, "--configfile", "scale.yaml")

    index = Path("results/tiny/tokens/lists.train.json")
    own = read_json(index)
    write_json(index, sealed({**own, "sha256": digest("another text")}))
    assert f"{trunk} was not trained from {index.with_suffix('.bin')} as it is now" in refused(results, capsys)
    write_json(index, own)

    def orphan(files: Files) -> Files:
        return {name: data for name, data in files.items() if fork in name}

    assert f"{fork} starts from {trunk}, which is neither" in refused(
        repacked(results, tmp_path / "orphan.tar", orphan), capsys
    )

    def swapped(files: Files) -> Files:
        exchange = {trunk: fork, fork: trunk}
        return {name: files[name.replace(stem, exchange[stem])] for name in files if (stem := Path(name).stem)}

    assert f"{fork}.parquet has the losses of {trunk}" in refused(
        repacked(results, tmp_path / "swapped.tar", swapped), capsys
    )


def test_a_branch_that_is_here_with_other_losses_stays(results: Path, capsys: Any) -> None:
    config, plan = planned()
    trunk, fork = plan.branches
    pretend_done(fork, config, loss=3.0)
    assert f"{Layout(config).branch(fork)} is there already with other losses" in refused(results, capsys)
    assert not Layout(config).branch(trunk).exists()
    Layout(config).branch(fork).with_suffix(".json").unlink()  # half of a result is none
    assert main(["unbundle", str(results)]) == 0
    assert read_table(Layout(config).branch(fork), BRANCH_SCHEMA)["loss"].unique().tolist() == [2.0]


def test_what_is_no_bundle_of_results_is_refused(home: Path, capsys: Any) -> None:
    assert main(["bundle", "--out", "work.tar"]) == 0
    assert "is work to be trained" in refused(Path("work.tar"), capsys)
    assert "no bundle" in refused(Path("config/config.yaml"), capsys)
    assert "does not exist" in refused(Path("nothing.tar"), capsys)
    shutil.make_archive("plain", "tar", "text")
    assert "it is no bundle" in refused(Path("plain.tar"), capsys)
    written = Path("bundle.json")
    written.write_text(json.dumps({"version": 2, "kind": "results"}), encoding="utf-8")
    with tarfile.open("new.tar", "w") as tar:
        tar.add(written, "tiny-results/bundle.json")
    written.unlink()
    assert "of another version of the kit" in refused(Path("new.tar"), capsys)


def test_damaged_results_are_not_packed(home: Path, capsys: Any) -> None:
    config, plan = planned()
    for name in plan.branches:
        pretend_done(name, config)
    path = Layout(config).branch(next(iter(plan.branches)))
    path.write_bytes(flipped(path.read_bytes(), 10))
    assert main(["bundle", "--results", "--out", "results.tar"]) == 2
    assert f"{path} is not what its manifest states" in capsys.readouterr().err
    assert not Path("results.tar").exists()


def test_a_fork_is_trained_from_a_branch_that_came_home(results: Path) -> None:
    """What came home has no checkpoint here: a new fork is trained from scratch, and from the text alone."""
    assert main(["unbundle", str(results)]) == 0
    entries = yaml.safe_load(Path("config/experiments.yaml").read_text(encoding="utf-8"))
    entries["runs"]["late"] = {
        "after": "trunk",
        "at": 20,
        "phases": [{"phase": "continual", "data": {"weak": 1}, "steps": 4, "schedule": CONSTANT}],
    }
    Path("config/experiments.yaml").write_text(yaml.safe_dump(entries, sort_keys=False), encoding="utf-8")
    config, plan = planned()
    late = list(plan.branches.values())[-1]
    training.train([late], plan, config)
    assert read_json(Layout(config).branch(late.id).with_suffix(".json"))["started_from_step"] == 0
