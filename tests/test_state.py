"""What a training left on the disk is compared with its digests before it is used, and belongs to one process."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil  # type: ignore[import-untyped]
import pytest
import yaml
from worlds.bundles import planned
from worlds.commands import refused
from worlds.processes import wait
from worlds.tiny import EXPERIMENTS, TINY, write_texts
from worlds.workflow import copy, snakemake

from cpt_dynamics import files
from cpt_dynamics.cli import main
from cpt_dynamics.experiments import Branch
from cpt_dynamics.files import read_json, read_table, sha256, write_json, write_table
from cpt_dynamics.layout import BRANCH_SCHEMA
from cpt_dynamics.training import branch as training
from cpt_dynamics.training import workflow
from cpt_dynamics.training.checkpoints import Store
from cpt_dynamics.training.loop import Trainer
from cpt_dynamics.training.results import is_finished

ROOT = Path("results/tiny")
CHECKPOINTS = ROOT / "checkpoints"
STATE, META = "state.safetensors", "checkpoint.json"


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders: `done`, with both branches, and `killed`, whose trunk was killed before its last checkpoint."""
    top = tmp_path_factory.mktemp("worlds")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        (top / "killed/config").mkdir(parents=True)
        patch.chdir(top / "killed")
        write_texts(Path("text"))
        Path("config/config.yaml").write_text(yaml.safe_dump(TINY, sort_keys=False), encoding="utf-8")
        Path("config/experiments.yaml").write_text(yaml.safe_dump(EXPERIMENTS, sort_keys=False), encoding="utf-8")
        for name in TINY["corpora"]:
            assert main(["documents", name]) == main(["split", name]) == 0
        assert main(["tokenizer"]) == 0
        for name in TINY["corpora"]:
            assert main(["tokens", name]) == 0
        save = Store.save

        def cut(store: Store, key: str, step: int, *state: Any) -> None:
            if step == 24:
                raise KeyboardInterrupt
            save(store, key, step, *state)

        with pytest.MonkeyPatch.context() as other:
            other.setattr(Store, "save", cut)
            assert main(["train", "--plan"]) == 130
        shutil.copytree(top / "killed", top / "done")
        patch.chdir(top / "done")
        assert main(["train", "--plan"]) == 0
    return top


@pytest.fixture
def killed(worlds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return _copy(worlds / "killed", tmp_path / "copy", monkeypatch)


@pytest.fixture
def done(worlds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return _copy(worlds / "done", tmp_path / "copy", monkeypatch)


def _copy(world: Path, to: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(world, to)
    monkeypatch.chdir(to)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return to


def trunk() -> Branch:
    return next(iter(planned()[1].branches.values()))


def fork() -> Branch:
    return list(planned()[1].branches.values())[1]


def losses(branch: Branch) -> Path:
    return ROOT / f"branches/{branch.id}.parquet"


def manifest(branch: Branch) -> Any:
    return read_json(losses(branch).with_suffix(".json"))


def checkpoint(step: int) -> Path:
    (found,) = [path.parent for path in CHECKPOINTS.glob("*/checkpoint.json") if read_json(path)["step"] == step]
    return found


def last(branch: Branch) -> Path:
    return CHECKPOINTS / manifest(branch)["checkpoint"][:20]


def trained_as_ever(worlds: Path) -> None:
    """Everything is trained, and the losses and last weights are bit for bit those of a training without a fault."""
    for branch in planned()[1].branches.values():
        expected = worlds / "done" / losses(branch)
        pd.testing.assert_frame_equal(
            read_table(losses(branch), BRANCH_SCHEMA), read_table(expected, BRANCH_SCHEMA), check_exact=True
        )
        written = last(branch) / STATE
        assert written.read_bytes() == (worlds / "done" / written).read_bytes()
    assert not list(CHECKPOINTS.glob("*.rows.json"))
    assert not list(CHECKPOINTS.glob("*.lock"))


# --- damage ------------------------------------------------------------------------------------------------------


def flip(path: Path, at: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(at * (len(data) - 1))] ^= 1
    path.write_bytes(data)


def zero_tail(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1000] + bytes(1000))


def changed(path: Path, change: Callable[[Any], Any]) -> None:
    path.write_text(json.dumps(change(read_json(path))), encoding="utf-8")


def without(*keys: str) -> Callable[[Any], Any]:
    return lambda value: {key: one for key, one in value.items() if key not in keys}


def older(folder: Path) -> None:
    """A checkpoint as older kits wrote it, without digests."""
    changed(folder / META, without("seal", "sha256"))


def older_and_cut(folder: Path) -> None:
    older(folder)
    path = folder / STATE
    path.write_bytes(path.read_bytes()[:-8])


def renamed(folder: Path) -> None:
    """A letter in the header of the tensors is another one, in a checkpoint without digests."""
    older(folder)
    path = folder / STATE
    path.write_bytes(path.read_bytes().replace(b"exp_avg_sq/", b"exp_avg_sr/", 1))


DAMAGED: dict[str, Callable[[Path], Any]] = {
    "a bit of the weights": lambda folder: flip(folder / STATE, 0.5),
    "a tail of zeros": lambda folder: zero_tail(folder / STATE),
    "a bit of the header": lambda folder: flip(folder / STATE, 0.0),
    "no tensors": lambda folder: (folder / STATE).unlink(),
    "an empty file": lambda folder: (folder / STATE).write_bytes(b""),
    "null": lambda folder: changed(folder / META, lambda _: None),
    "a list": lambda folder: changed(folder / META, lambda _: []),
    "no JSON": lambda folder: (folder / META).write_text("{"),
    "without rng": lambda folder: changed(folder / META, without("rng", "seal")),
    "with rng of a wrong size": lambda folder: changed(folder / META, lambda m: {**without("seal")(m), "rng": "00"}),
    "with rng that is no number": lambda folder: changed(folder / META, lambda m: {**without("seal")(m), "rng": "x"}),
    "another digit in rng": lambda folder: changed(folder / META, lambda m: {**m, "rng": "f" + m["rng"][1:]}),
    "older, cut": older_and_cut,
    "older, another name in the header": renamed,
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_checkpoint_is_passed_over(worlds: Path, killed: Path, capsys: Any, damage: str) -> None:
    folder = checkpoint(18)
    DAMAGED[damage](folder)
    capsys.readouterr()
    assert main(["train", "--plan"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "passes over" in line]
    assert line.startswith(f"{trunk().id}: passes over the checkpoint of step 18, since {folder} is damaged (")
    assert manifest(trunk())["started_from_step"] == 14
    trained_as_ever(worlds)


@pytest.mark.slow
def test_processes_that_train_together_pass_over_the_same(worlds: Path, done: Path) -> None:
    Path("two.yaml").write_text("device: {processes: 2}\n", encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", "cpt_dynamics", "train", "--plan", "--configfile", "two.yaml"]
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    (path,) = [one for one in (ROOT / "branches").glob("fork-*.parquet") if one != losses(fork())]
    whole, started = read_table(path, BRANCH_SCHEMA), read_json(path.with_suffix(".json"))["started_from"]
    path.unlink()
    (folder,) = [
        one.parent
        for one in CHECKPOINTS.glob("*/checkpoint.json")
        if (read_json(one)["step"], read_json(one)["sha256"]) == (14, started["sha256"])
    ]
    flip(folder / STATE, 0.5)
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("passes over the checkpoint of step 14") == 1
    pd.testing.assert_frame_equal(read_table(path, BRANCH_SCHEMA), whole, check_exact=True)
    assert read_json(path.with_suffix(".json"))["started_from_step"] == 12


@pytest.mark.parametrize(("left", "start"), [({12, 6}, 12), (set(), 0)])
def test_a_damaged_checkpoint_of_the_parent_is_passed_over(
    worlds: Path, done: Path, capsys: Any, left: set[int], start: int
) -> None:
    losses(fork()).unlink()
    for step in {6, 12, 14} - left:
        flip(checkpoint(step) / STATE, 0.9)
    assert main(["train", "--plan"]) == 0
    out = capsys.readouterr().out
    assert out.count("passes over the checkpoint") == 3 - len(left)
    assert f"{fork().id}: passes over the checkpoint of step 14" in out
    assert manifest(fork())["started_from_step"] == start
    trained_as_ever(worlds)


def test_a_checkpoint_of_an_older_kit_is_loaded(worlds: Path, killed: Path, capsys: Any) -> None:
    older(checkpoint(18))
    changed(rows(), without("seal", "key"))
    assert main(["train", "--plan"]) == 0
    assert "passes over" not in capsys.readouterr().out
    assert manifest(trunk())["started_from_step"] == 18
    trained_as_ever(worlds)


def test_a_damaged_checkpoint_is_not_exported(done: Path, capsys: Any) -> None:
    folder = last(trunk())
    flip(folder / STATE, 0.5)
    line = refused(["export", "trunk", "exported"], capsys)
    assert f"{folder} is damaged (state.safetensors is not what checkpoint.json states)" in line
    assert not Path("exported").exists()


def rows() -> Path:
    return CHECKPOINTS / f"{trunk().id}.rows.json"


def resealed(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: files.sealed(change(value))


RECORDS: dict[str, Callable[[Any], Any]] = {
    "null": lambda _: None,
    "a list": lambda _: [],
    "without rows": without("rows", "seal"),
    "no row": lambda saved: {**without("seal")(saved), "rows": []},
    "a row less, of an older kit": lambda saved: {**without("seal", "key")(saved), "rows": saved["rows"][1:]},
    "a row twice": resealed(lambda saved: {**saved, "rows": [*saved["rows"][1:], saved["rows"][1]]}),
    "another loss": lambda saved: {**saved, "rows": [{**saved["rows"][0], "loss": 2.5}, *saved["rows"][1:]]},
    "a loss that is text": resealed(lambda saved: {**saved, "rows": [{**saved["rows"][0], "loss": "2.5"}]}),
    "tokens beyond all numbers": resealed(lambda saved: {**saved, "rows": [{**saved["rows"][0], "tokens": 10**30}]}),
    "a loss that is a vast whole number": resealed(
        lambda saved: {**saved, "rows": [{**row, "bits_per_byte": 10**400} for row in saved["rows"]]}
    ),
    "of another text": resealed(lambda saved: {**saved, "key": "0" * 64}),
    "beyond the branch": resealed(lambda saved: {**saved, "upto": 1000}),
}


@pytest.mark.parametrize("damage", RECORDS)
def test_a_damaged_record_is_passed_over(worlds: Path, killed: Path, capsys: Any, damage: str) -> None:
    changed(rows(), RECORDS[damage])
    assert main(["train", "--plan"]) == 0
    out = capsys.readouterr().out
    assert f"{trunk().id}: measures its losses anew, since {rows()}" in out
    assert manifest(trunk())["started_from_step"] == 0
    trained_as_ever(worlds)


# --- results -----------------------------------------------------------------------------------------------------


def of_another(path: Path) -> None:
    shutil.copy(losses(fork()), path)
    shutil.copy(losses(fork()).with_suffix(".json"), path.with_suffix(".json"))


def on_manifest(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    return lambda path: changed(path.with_suffix(".json"), change)


RESULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "an empty curve": (lambda path: path.write_bytes(b""), "is not what its manifest states"),
    "a cut curve": (lambda path: path.write_bytes(path.read_bytes()[:-9]), "is not what its manifest states"),
    "a bit of the curve": (lambda path: flip(path, 0.3), "is not what its manifest states"),
    "another branch's curve": (lambda path: shutil.copy(losses(fork()), path), "is not what its manifest states"),
    "another branch's curve and manifest": (of_another, "is of fork-"),
    "a manifest of a name with control characters": (
        on_manifest(lambda m: {**m, "branch": "a\x1b[31m\x7f"}),
        r"is of a\x1b[31m\x7f",
    ),
    "a manifest with a key of control characters": (
        on_manifest(lambda m: {**m, "text": {"a\x00": 1}}),
        r".json: text.a\x00",
    ),
    "a manifest that is null": (on_manifest(lambda _: None), ".json: "),
    "an empty manifest": (on_manifest(lambda _: {}), ".json: branch: Field required"),
    "a manifest that is a list": (on_manifest(lambda _: []), ".json: "),
    "a manifest whose text is a list": (on_manifest(lambda m: {**m, "text": []}), ".json: "),
    "a manifest that is cut": (lambda path: path.with_suffix(".json").write_text('{"branch"'), "is not valid JSON"),
    "other text": (on_manifest(lambda m: {**m, "text": {}}), "it was not trained from results/tiny/tokens"),
}


@pytest.mark.parametrize("damage", RESULTS)
def test_a_damaged_result_is_never_done(worlds: Path, done: Path, capsys: Any, damage: str) -> None:
    change, words = RESULTS[damage]
    config, _ = planned()
    change(losses(trunk()))
    assert not is_finished(trunk(), config)
    if damage != "other text":  # which belongs to what was trained
        assert "train it again" in refused(["curves", "trunk"], capsys)
        assert not (ROOT / "curves").exists()
    capsys.readouterr()
    assert main(["train", "--plan"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "is trained again, since" in line]
    assert line.startswith(f"{trunk().id}: ")
    assert words in line
    trained_as_ever(worlds)


ROWS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "NaN": (lambda t: t.assign(loss=np.nan), "has a loss that is not finite and positive"),
    "text": (lambda t: t.assign(loss="low"), "column 'loss' must hold one number a row"),
    "no rows": (lambda t: t[:0], "holds no rows"),
    "shifted steps": (lambda t: t.assign(step=t["step"] + 1000), "unlike the plan"),
    "steps that are text": (lambda t: t.assign(step="one"), "column 'step' must hold one integer a row"),
    "without the column loss": (lambda t: t.drop(columns="loss"), "lacks the column 'loss'"),
    "a step less": (lambda t: t[t["step"] != 8], "lacks the loss on prose after step 8, unlike the plan"),
    "a step more": (lambda t: pd.concat([t, t[-3:].assign(step=99)]), "after step 99, unlike the plan"),
    "a row less": (lambda t: t[1:], "lacks the loss on prose after step 1, unlike the plan"),
    "a row twice": (lambda t: pd.concat([t[:1], t]), "a step of a validation set twice or out of order"),
    "a corpus less": (lambda t: t[t["validation"] != "lists"], "lacks the loss on lists after step 1"),
    "a corpus more": (lambda t: pd.concat([t, t[:1].assign(validation="more")]), "has losses on more, which is not"),
}


@pytest.mark.parametrize("edit", ROWS)
def test_losses_that_are_not_those_of_the_plan_are_refused(done: Path, tmp_path: Path, capsys: Any, edit: str) -> None:
    """Their digest is that of the manifest; nothing is put in place."""
    change, words = ROWS[edit]
    path = losses(trunk())
    whole = read_table(path, BRANCH_SCHEMA)
    write_table(path, change(whole), BRANCH_SCHEMA)
    write_json(path.with_suffix(".json"), {**manifest(trunk()), "sha256": sha256(path)})
    line = refused(["curves", "fork"], capsys)
    assert str(path) in line
    assert words in line
    assert "delete it and train it again" in line
    assert not (ROOT / "curves").exists()
    assert main(["bundle", "--results", "--out", str(tmp_path / "results.tar")]) == 0
    assert main(["measured", "--pack"]) == 0
    shutil.rmtree(ROOT / "branches")
    for command, where in (
        (["unbundle", str(tmp_path / "results.tar")], str(tmp_path / "results.tar")),
        (["measured", "--restore"], "data/measured/tiny"),
    ):
        line = refused(command, capsys)
        assert line.startswith(f"error: {where}: {path.name}")
        assert words in line
        assert not list((ROOT / "branches").glob("*"))


def test_damaged_results_of_others_do_not_stand_in_the_way(worlds: Path, done: Path, tmp_path: Path) -> None:
    """What comes home takes the place of what is damaged here."""
    assert main(["bundle", "--results", "--out", str(tmp_path / "results.tar")]) == 0
    flip(losses(trunk()), 0.5)
    assert main(["unbundle", str(tmp_path / "results.tar")]) == 0
    trained_as_ever(worlds)


# --- tokens ------------------------------------------------------------------------------------------------------

TOKENS = ROOT / "tokens/prose.train.bin"
INDEX = TOKENS.with_suffix(".json")


def low_bits(_: Any) -> None:
    ids = np.fromfile(TOKENS, "<u2")
    (ids ^ 1).tofile(TOKENS)


def beyond(_: Any) -> None:
    ids = np.fromfile(TOKENS, "<u2")
    ids[7] = 300
    ids.tofile(TOKENS)
    changed(INDEX, lambda index: files.sealed({**index, "sha256": sha256(TOKENS)}))


def on_index(change: Callable[[Any], Any]) -> Callable[[Any], None]:
    return lambda _: changed(INDEX, lambda index: change(without("seal")(index)))  # as older kits wrote it


def other_tokenizer(_: Any) -> None:
    path = ROOT / "tokenizer.json"
    path.write_text(path.read_text() + " ")


TEXTS: dict[str, tuple[Callable[[Any], None], str]] = {
    "all low bits": (low_bits, f"{TOKENS} is damaged (its sha256 is not that of its index)"),
    "one bit": (lambda _: flip(TOKENS, 0.5), f"{TOKENS} is damaged"),
    "validation": (lambda _: flip(ROOT / "tokens/lists.validation.bin", 0.5), "lists.validation.bin is damaged"),
    "a token beyond the vocabulary": (beyond, f"{TOKENS} has the token 300, beyond the vocabulary of 300 entries"),
    "an index that is null": (on_index(lambda _: None), f"{INDEX}: Input should be a valid dictionary"),
    "an index that is a list": (on_index(lambda _: []), f"{INDEX}: Input should be a valid dictionary"),
    "an index without sha256": (on_index(without("sha256")), "sha256: Field required"),
    "another type": (on_index(lambda index: {**index, "dtype": "<i2"}), "dtype: Input should be '<u2' or '<u4'"),
    "a negative count": (on_index(lambda index: {**index, "count": -1}), "count: Input should be greater than"),
    "text as count": (on_index(lambda index: {**index, "count": "all"}), "count: Input should be a valid integer"),
    "another vocabulary": (
        lambda _: changed(INDEX, lambda index: {**index, "vocabulary": 400}),
        f"{INDEX} is not what was written: delete it and prose.train.bin, make them again",
    ),
    "a vast vocabulary, of an older kit": (
        on_index(lambda index: {**index, "vocabulary": 10**12}),
        f"{TOKENS} states 1,000,000,000,000 entries, results/tiny/tokenizer.json has 300: make the tokens again",
    ),
    "another tokenizer": (other_tokenizer, "was made with another tokenizer than results/tiny/tokenizer.json"),
}


@pytest.mark.parametrize("damage", TEXTS)
def test_token_files_that_are_not_as_written_are_refused(killed: Path, capsys: Any, damage: str) -> None:
    change, words = TEXTS[damage]
    change(None)
    line = refused(["train", "--plan"], capsys)
    assert words in line
    assert "make" in line
    assert not list((ROOT / "branches").glob("*"))


def test_a_token_file_is_compared_once_a_process(killed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cpt_dynamics.corpora import tokens

    tokens.open(TOKENS)
    monkeypatch.setattr(tokens, "CHUNK", 0)  # whoever reads on fails
    tokens.open(TOKENS)
    flip(TOKENS, 0.5)
    with pytest.raises(ValueError, match="arg 3 must not be zero"):
        tokens.open(TOKENS)


# --- one process a branch ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["--plan", "--branch"])
def test_a_branch_that_another_process_trains_is_waited_for(
    worlds: Path, killed: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, how: str
) -> None:
    monkeypatch.setattr(training, "WAIT", 0.01)
    began: list[str] = []
    monkeypatch.setattr(Trainer, "train", lambda _, branch: began.append(branch.id))
    arguments = [how] if how == "--plan" else [how, trunk().id]
    codes: list[int] = []
    command = threading.Thread(target=lambda: codes.append(main(["train", *arguments])))
    with files.lock(CHECKPOINTS / f"{trunk().id}.lock") as other:
        assert other is None
        command.start()
        out = ""
        for _ in range(6000):
            if "waits for" in (out := out + capsys.readouterr().out):
                break
            time.sleep(0.01)
        assert f"{trunk().id}: waits for process {os.getpid()} on " in out
        assert out.count("waits for") == 1
        assert (codes, began) == ([], [])
        shutil.copytree(worlds / "done" / ROOT / "branches", ROOT / "branches", dirs_exist_ok=True)
    command.join(60)
    assert codes == [0]
    assert f"{trunk().id}: done before" in capsys.readouterr().out
    assert began == []
    assert not list(CHECKPOINTS.glob("*.lock"))


def test_a_lock_ends_with_its_process(killed: Path, worlds: Path, capsys: Any) -> None:
    """What a process that was killed left is no lock."""
    path = CHECKPOINTS / f"{trunk().id}.lock"
    script = f"""
import os
from pathlib import Path
from cpt_dynamics import files
with files.lock(Path({str(path)!r})):
    os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    assert path.exists()
    assert main(["train", "--plan"]) == 0
    assert "waits for" not in capsys.readouterr().out
    trained_as_ever(worlds)


def test_where_there_are_no_locks_every_process_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "fcntl", None)
    with files.lock(tmp_path / "a.lock") as one, files.lock(tmp_path / "a.lock") as other:
        assert one is other is None
    with files.atomic(tmp_path / "a.txt") as made:
        made.write_text("whole")
    assert os.listdir(tmp_path) == ["a.txt"]


# --- killed before it was noted ----------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", ["write_table", "write_json", "sha256"])
def test_a_branch_that_ended_unnoted_is_not_trained_again(
    worlds: Path, killed: Path, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    def end(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, cut, end)
        assert main(["train", "--plan"]) == 130
    assert not losses(trunk()).with_suffix(".json").exists()
    assert main(["train", "--plan"]) == 0
    assert (manifest(trunk())["started_from_step"], manifest(trunk())["steps_trained"]) == (24, 0)
    trained_as_ever(worlds)


def test_a_record_that_was_left_is_removed(
    worlds: Path, killed: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def end(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "forget", end)
        assert main(["train", "--plan"]) == 130
    assert rows().exists()
    assert main(["train", "--plan"]) == 0
    assert f"{trunk().id}: done before" in capsys.readouterr().out
    trained_as_ever(worlds)


# --- the end of a workflow ---------------------------------------------------------------------------------------

WAITS = """
import sys, time
from pathlib import Path
from cpt_dynamics import cli, files
from cpt_dynamics.cli import train

def load(options):
    with files.atomic(Path("folder")) as made:
        made.mkdir()
        print("waiting", flush=True)
        time.sleep(60)

train.load_config = load
sys.argv = ["cpt-dynamics", "train", "--plan"]
sys.exit(cli.main())
"""


def test_a_training_ends_with_its_workflow(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    environment = {**os.environ, workflow.VARIABLE: f"{socket.gethostname()}:{parent.pid}"}
    with subprocess.Popen(
        [sys.executable, "-c", WAITS],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        parent.kill()  # and nobody asks how it ended, as where its own parent is gone
        assert process.wait(30) == 128 + signal.SIGTERM
        assert process.stderr is not None
        assert process.stderr.read() == (
            f"error: the workflow (process {parent.pid}) that started this training is gone: start it again, and the"
            " training goes on from its last checkpoint\n"
        )
    parent.wait()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_trainings_end_with_a_snakemake_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With it alone, as by the system that lacks memory; the next one finds the branch free, and goes on with it."""
    copy(tmp_path)
    monkeypatch.chdir(tmp_path)
    longer = {**TINY, "lengths": {**TINY["lengths"], "pretraining": 1000}, "checkpoint_every": 20}
    Path("config/config.yaml").write_text(yaml.safe_dump(longer, sort_keys=False), encoding="utf-8")
    command = ["snakemake", "--cores", "1", str(losses(trunk()))]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, start_new_session=True, **quiet) as main_one:
        wait(lambda: len(list(CHECKPOINTS.glob("*/checkpoint.json"))) > 2 or main_one.poll() is not None, 400)
        assert main_one.poll() is None
        jobs = psutil.Process(main_one.pid).children(recursive=True)
        assert any("train" in job.cmdline() for job in jobs)
        main_one.kill()
        wait(lambda: not any(job.is_running() and job.status() != psutil.STATUS_ZOMBIE for job in jobs), 60)
    log = (ROOT / f"logs/train/{trunk().id}.log").read_text(encoding="utf-8")
    assert f"error: the workflow (process {main_one.pid}) that started this training is gone" in log
    assert not losses(trunk()).exists()
    subprocess.run(["snakemake", "--unlock"], check=True, **quiet)
    done = snakemake(tmp_path, str(losses(trunk())))
    assert done.returncode == 0, done.stderr
    assert manifest(trunk())["started_from_step"] > 40


def test_only_a_workflow_that_lives_here_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here, before = socket.gethostname(), threading.active_count()
    for value in ("", "nonsense", f"another-{here}:{os.getpid()}", f"{here}:{gone.pid}", f"{here}:x"):
        monkeypatch.setenv(workflow.VARIABLE, value)
        workflow.end_with_workflow()
        assert threading.active_count() == before, value


# --- what killed processes left ----------------------------------------------------------------------------------

LEAVES = """
import os, sys, time
from pathlib import Path
from cpt_dynamics import files

with files.atomic(Path("folder")) as made:
    made.mkdir()
    (made / "part").write_text("half")
    print("writing", flush=True)
    if sys.argv[1] == "live":
        sys.stdin.read()
    os.kill(os.getpid(), 9)
"""


def test_what_killed_processes_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LEAVES]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, "live"], cwd=tmp_path, **pipes) as live:
        assert live.stdout is not None
        assert live.stdout.readline() == "writing\n"
        (used,) = tmp_path.iterdir()
        subprocess.run([*command, "die"], cwd=tmp_path, check=False, capture_output=True)
        assert len(list(tmp_path.iterdir())) == 2
        kept = [used]
        yesterday = time.time() - 90_000
        for name, inside, age, stays in (
            (".old.abcdefgh", "old", yesterday, False),  # of an older kit
            (".app.settings", "", yesterday, True),  # somebody's own
            (".new.abcdefgh", "new", time.time(), True),
            (".config.abcdefgh", "settings", yesterday, True),  # somebody's own
            (".other.abcdefgh.00000000", "other", time.time(), True),  # of another machine
        ):
            (tmp_path / name).mkdir()
            if inside:
                (tmp_path / name / inside).write_text("text")
                os.utime(tmp_path / name / inside, (age, age))
            os.utime(tmp_path / name, (age, age))
            if stays:
                kept.append(tmp_path / name)
        files.write_json(tmp_path / "a.json", {})
        assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / "a.json"])
        assert (used / "folder/part").read_text() == "half"
        live.kill()


def test_checkpoints_that_were_cut_are_swept_by_the_next_training(worlds: Path, killed: Path) -> None:
    left = CHECKPOINTS / f".{'a' * 20}.abcdefgh.{files.HOST}"
    (left / ("a" * 20)).mkdir(parents=True)
    assert main(["train", "--plan"]) == 0
    assert not left.exists()
    trained_as_ever(worlds)
