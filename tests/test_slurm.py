"""The workflow on a cluster: what is asked for, and a real Slurm whose jobs are preempted and killed."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from worlds import REPOSITORY
from worlds.tiny import EXPERIMENTS, TINY
from worlds.workflow import complete, copy, copy_parts, idle

from cpt_dynamics import config as configuration
from cpt_dynamics import experiments
from cpt_dynamics.cli import main
from cpt_dynamics.experiments.estimates import estimate
from cpt_dynamics.layout import Layout
from cpt_dynamics.training.checkpoints import STATE

SCRIPT = REPOSITORY / "scripts/slurm.sh"
PROFILE = ("--workflow-profile", "profiles/slurm")
# The trial Slurm has no database, which sacct would ask; and its jobs are short.
TRIAL = ("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "8")
LONG = {  # enough to be preempted in the middle
    "lengths": {**TINY["lengths"], "pretraining": 1500},
    "evaluation": {**TINY["evaluation"], "every": 100},
    "checkpoint_every": 100,
}
FORK = {**EXPERIMENTS["runs"], "fork": {**EXPERIMENTS["runs"]["fork"], "at": 700}}

Commands = Callable[..., str]


def script(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, check=False, env=env)


def installed() -> bool:
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    return all(shutil.which(program, path=path) for program in ("slurmctld", "slurmd", "munged", "sbatch"))


@pytest.fixture(scope="module")
def installation() -> None:
    """Slurm's programs; on a machine of continuous integration they are installed first."""
    if installed():
        return
    if os.environ.get("CI", "").lower() not in ("true", "1"):
        pytest.skip("Slurm is not installed: `scripts/slurm.sh install` installs it")
    done = script("install")
    if done.returncode:
        pytest.skip(f"Slurm cannot be installed: {done.stderr.strip().splitlines()[-1]}")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="slurm-") as name:
        yield Path(name)
        script("stop", name)


@pytest.fixture
def slurm(installation: None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """A running Slurm of this machine; calls a command of it and returns what that prints."""
    started = script("start", str(folder))
    if started.returncode:
        pytest.fail(started.stderr)
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def call(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return call


def wait(condition: Callable[[], Any], seconds: float) -> Any:
    """What the condition returns as soon as that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not so within {seconds} seconds")


def planned(folder: Path, *arguments: str) -> str:
    """A dry run with the profile; needs no Slurm."""
    command = ["snakemake", "-n", *PROFILE, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


def requests(text: str) -> dict[str, tuple[int, ...]]:
    """Branch -> minutes, CPUs, GPUs and MB that its job asks for, from the messages of a dry run."""
    asked = r"training (\S+): .*; asks for (\d+) minutes, (\d+) CPUs, (\d+) GPUs, (\d+) MB"
    return {branch: tuple(map(int, numbers)) for branch, *numbers in re.findall(asked, text)}


def test_the_smoke_scale_states_what_each_branch_asks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_parts(tmp_path)
    scale = "config/scales/smoke.yaml"
    text = planned(tmp_path, "--configfile", scale)
    asked = requests(text)
    monkeypatch.chdir(tmp_path)
    config = configuration.load([scale])
    plan = experiments.plan(experiments.load(config).runs.values(), config)
    assert asked.keys() == plan.branches.keys()
    assert set(asked.values()) == {(5, 1, asked[next(iter(asked))][2], 2000)}
    trunk = next(branch for branch in plan.branches.values() if branch.parent is None)
    assert f"training {trunk.id}: {trunk.run.tokens(trunk.last):.3g} tokens, " in text


def test_time_processes_and_memory_of_the_request_follow_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(tmp_path)
    changed = {
        **TINY,
        "device": {"name": "cuda", "processes": 4, "threads": 2},
        "estimates": {"teraflops": 1.0e-7, "time_factor": 3.0, "memory_gigabytes": 1.5},
    }
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump(changed, sort_keys=False))
    text = planned(tmp_path, "runs", "--printshellcmds")
    asked = requests(text)
    monkeypatch.chdir(tmp_path)
    config = configuration.load([])
    plan = experiments.plan(experiments.load(config).runs.values(), config)
    assert asked.keys() == plan.branches.keys()
    for name, (minutes, *others) in asked.items():
        expected = 3 * estimate(plan.branches[name], config).minutes
        assert expected > 10  # well above the least that is asked
        assert expected <= minutes < expected + 1
        assert others == [8, 4, 6000]
    assert text.count("torchrun --standalone --nproc-per-node 4 -m cpt_dynamics train --branch") == 2


def test_the_trial_slurm_refuses_what_cannot_work(installation: None, folder: Path) -> None:
    assert "no trial Slurm in" in script("status", str(folder)).stderr
    long = folder / ("x" * 100)
    assert "too long for a socket" in script("start", str(long)).stderr
    assert "characters" in script("start", str(folder / "a b")).stderr
    assert script("start").returncode == 1
    assert script().returncode == 2
    assert not list(folder.rglob("*.pid"))


def test_the_trial_slurm_runs_jobs_and_leaves_nothing_behind(slurm: Commands, folder: Path) -> None:
    assert slurm("srun", "echo", "done").strip() == "done"
    assert "runs in" in script("start", str(folder)).stderr  # a second one in the same folder
    assert script("status", str(folder)).returncode == 0
    mark = folder / "mark"
    stubborn = f"trap '' TERM; touch {mark}; while true; do sleep 0.1; done"
    slurm("sbatch", "--chdir", str(folder), "--wrap", f'srun bash -c "{stubborn}"')
    wait(mark.exists, 30)
    names = [process.name for process in Path("/proc").glob("[0-9]*") if of_trial(process, folder)]
    assert len(names) >= 5  # three daemons, and the job with its supervisor
    stopped = script("stop", str(folder))
    assert stopped.returncode == 0, stopped.stderr
    assert not [process for process in Path("/proc").glob("[0-9]*") if of_trial(process, folder)]
    assert script("status", str(folder)).returncode == 1


def of_trial(process: Path, folder: Path) -> bool:
    """Whether a process is a daemon of the trial Slurm or belongs to a job of it."""
    try:
        command, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
    except OSError:
        return False
    own = f"SLURM_CONF={folder / 'slurm.conf'}".encode() in environment.split(b"\0")
    return f"{folder}/".encode() in command or (own and b"\0SLURM_JOB_ID=" in environment)


def freeze(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let jobs run a copy of the code: they would train again if it was edited while they run."""
    shutil.copytree(REPOSITORY / "src", folder / "src")
    monkeypatch.setenv("PYTHONPATH", str(folder / "src"))


@pytest.fixture
def long_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the workflow with one trunk and one fork, its text tokenised, and what both give without Slurm."""
    copy(tmp_path)
    freeze(tmp_path, monkeypatch)
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump({**TINY, **LONG}, sort_keys=False))
    (tmp_path / "config/experiments.yaml").write_text(yaml.safe_dump({**EXPERIMENTS, "runs": FORK}, sort_keys=False))
    (tmp_path / "alone.yaml").write_text("results: alone\n")
    monkeypatch.chdir(tmp_path)
    # Each step for all corpora before the next, so that no file is older than what the rules make it from.
    for step in ("documents", "split", "tokenizer", "tokens"):
        for name in [[]] if step == "tokenizer" else [[name] for name in TINY["corpora"]]:
            assert main([step, *name]) == 0
    shutil.copytree("results", "alone")
    assert main(["train", "--plan", "--configfile", "alone.yaml"]) == 0
    return tmp_path


def preempt(slurm: Commands, job: str) -> None:
    """A job of a partition of higher priority that needs the whole node."""
    cpus = slurm("sinfo", "--noheader", "--partition=urgent", "--format=%c").strip()
    slurm("sbatch", "--partition=urgent", f"--cpus-per-task={cpus}", "--output=/dev/null", "--wrap", "sleep 1")


def kill(slurm: Commands, job: str) -> None:
    """SIGKILL to everything of a job: Snakemake submits it again."""
    slurm("scancel", "--full", "--signal=KILL", job)


@pytest.mark.slow
@pytest.mark.parametrize("cut", [preempt, kill])
def test_a_job_that_is_cut_off_goes_on_from_its_checkpoint(
    cut: Callable[[Commands, str], None], slurm: Commands, long_run: Path, folder: Path
) -> None:
    layout = Layout(configuration.load([]))
    with open(long_run / "out.log", "w", encoding="utf-8") as log:
        command = ["snakemake", *PROFILE, *TRIAL, "runs"]
        running = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait(lambda: list(layout.checkpoints.glob("[0-9a-f]*/checkpoint.json")), 400)
            (job,) = slurm("squeue", "--noheader", "--states=running", "--format=%A").split()
            cut(slurm, job)
            code = running.wait(900)
        finally:
            running.terminate()
            running.wait(60)
    said = (long_run / "out.log").read_text()
    assert code == 0, said[-3000:]
    alone = Layout(configuration.load(["alone.yaml"]))
    manifests = {path.stem: json.loads(path.read_text()) for path in layout.branch("x").parent.glob("*.json")}
    assert len(manifests) == 2
    (trunk,) = (name for name in manifests if name.startswith("trunk"))
    resumed = manifests[trunk]["started_from_step"]
    assert 0 < resumed < 1500
    assert manifests[trunk]["steps_trained"] == 1500 - resumed
    for name, manifest in manifests.items():
        assert layout.branch(name).read_bytes() == alone.branch(name).read_bytes()
        state = Path(manifest["checkpoint"][:20]) / STATE
        assert (layout.checkpoints / state).read_bytes() == (alone.checkpoints / state).read_bytes()
    states = slurm("squeue", "--noheader", "--states=all", "--format=%A %T %l").splitlines()
    if cut is preempt:
        assert " Restarts=1 " in slurm("scontrol", "show", "job", job)
        output = next((long_run / ".snakemake/slurm_logs").rglob(f"{job}.log")).read_text()
        assert "DUE TO PREEMPTION" in output  # the second start did not overwrite what the first one said
        assert "Finished jobid: 0 (Rule: train)" in output.split("DUE TO PREEMPTION")[-1]
        assert sum(line.endswith("COMPLETED 5:00") for line in states) == 2
    else:
        assert f"{job} CANCELLED 5:00" in states
        assert sum(line.endswith("COMPLETED 10:00") for line in states) == 1  # more time at the second attempt
    again = subprocess.run(["snakemake", "-n", *PROFILE, "runs"], capture_output=True, text=True, check=True)
    assert idle(again)


@pytest.mark.slow
def test_the_smoke_scale_runs_on_slurm_from_end_to_end(
    slurm: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_parts(tmp_path)
    freeze(tmp_path, monkeypatch)
    command = ["snakemake", *PROFILE, *TRIAL, "--configfile", "config/scales/smoke.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    complete(tmp_path / "results/smoke")
    states = slurm("squeue", "--noheader", "--states=all", "--format=%T").split()
    assert len(states) > 100  # the branches and the fits, each a job
    assert set(states) == {"COMPLETED"}
    again = subprocess.run([*command, "-n"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert idle(again)
