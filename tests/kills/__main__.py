"""`make kills`: kill stages at random times, give their commands again, and compare with what nobody killed."""

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cpt_dynamics import config as configuration
from cpt_dynamics import experiments
from kills.stages import STAGES, Stage, make

LONGEST = 900  # seconds of a command
PATIENCE = 15  # seconds that processes have for ending after the one that started them
# How a command is ended, and how often: the process alone, or all that it started, as a terminal or a cluster does.
HOW = [(signal.SIGKILL, False)] * 5 + [(signal.SIGKILL, True)] * 3 + [(signal.SIGTERM, False), (signal.SIGINT, True)]
# What tells of the process and the time, and not of the result.
NOT_COMPARED = ("logs/", ".snakemake/", "compiled/", "report/build/", "summary.json", "config.yaml")
OF_THE_PROCESS = {
    *("started", "finished", "wall_seconds", "cpu_seconds", "tokens_per_second", "steps_trained", "started_from_step"),
    *("machine", "version", "versions"),
}
TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}(\.[0-9a-f]{8})?|.+\.lock")  # see `files.passing` and `files.lock`


@dataclass
class Count:
    """What came of the kills of a stage."""

    kills: int = 0
    hit: int = 0
    resumed: int = 0
    differing: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)

    @property
    def fine(self) -> bool:
        return not (self.differing or self.left or self.failed)


class Campaign:
    """Folders of stages that nobody killed, by the name of the stage, and the kills."""

    def __init__(self, root: Path, chance: random.Random, stages: list[Stage]) -> None:
        self.root, self.chance, self.stages = root, chance, stages
        self.seconds: dict[str, float] = {}
        self.before: dict[str, str] = {}
        self.ids: dict[str, str] = {}

    # --- without kills

    def prepare(self) -> None:
        """Run every stage once in a folder of its own, which begins as a copy of that of the stage before."""
        make(self.root / "begin")
        with contextlib.chdir(self.root / "begin"):
            config = configuration.load([])
            plan = experiments.plan(experiments.load(config).runs.values(), config)
        self.ids = {branch.run.name: branch.id for branch in plan.branches.values()}
        former = "begin"
        for stage in STAGES:
            self.before[stage.name] = stage.before or former
            former = stage.name
        for stage in needed(self.stages):
            began = time.monotonic()
            folder = self.copy(stage, self.folder(stage.name))
            for command in stage.commands:
                done = self.start(command, folder)
                if self.wait(done, folder):
                    raise SystemExit(f"{stage.name} fails without a kill:\n{said(folder)}")
            self.seconds[stage.name] = time.monotonic() - began
            print(f"{stage.name:20} takes {self.seconds[stage.name]:.1f} s", flush=True)

    def folder(self, name: str) -> Path:
        return self.root / name.replace(" ", "_")

    def copy(self, stage: Stage, folder: Path) -> Path:
        shutil.copytree(self.folder(self.before[stage.name]), folder, symlinks=True)
        return folder

    # --- with kills

    def kill(self, stage: Stage, kills: int) -> Count:
        """Kill a stage several times; one that ends meanwhile is compared and begun anew for the other kills."""
        count = Count()
        while count.kills < kills:
            folder = self.copy(stage, self.root / "killed")
            wanted = self.chance.randint(1, kills - count.kills)  # in this folder
            before = count.hit
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._run(stage, folder, count, count.kills + wanted)
            if count.failed:
                break
            differing = differences(self.folder(stage.name), folder)
            count.differing |= differing
            count.left |= {str(path.relative_to(folder)) for path in left_behind(folder)}
            count.resumed += count.hit - before if not differing else 0
            shutil.rmtree(folder)
        return count

    def _run(self, stage: Stage, folder: Path, count: Count, until: int) -> None:
        """Give the commands of a stage until each ends, and kill it at a random time until there were enough kills."""
        for command in stage.commands:
            while True:
                process = self.start(command, folder)
                killed = False
                if count.kills < until:
                    killed = self._hit(stage, process, count)
                code = self.wait(process, folder)
                for name in self.orphans(PATIENCE if killed else 0):
                    count.left.add(f"process {name}")
                if not killed:
                    if code:
                        count.failed.append(f"exit {code} of {' '.join(command)}: {said(folder)[-600:]}")
                        return
                    break
                if stage.again:
                    self.wait(self.start(stage.again, folder), folder)

    def _hit(self, stage: Stage, process: "subprocess.Popen[bytes]", count: Count) -> bool:
        """Wait for a while, and then end the process; whether it still ran."""
        share = self.seconds[stage.name] / len(stage.commands)
        count.kills += 1
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self.chance.uniform(0, share))
            return False
        number, everyone = self.chance.choice(HOW)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number) if everyone else process.send_signal(number)
        count.hit += 1
        return True

    # --- processes

    def start(self, command: tuple[str, ...], folder: Path) -> "subprocess.Popen[bytes]":
        words = [word.format(**self.ids) if word.startswith("{") else word for word in command]
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "SOURCE_DATE_EPOCH": "0",  # in PDFs
            "KILLS": str(self.root),  # by which all processes are known
        }
        with (folder.parent / f"{folder.name}.log").open("ab") as log:
            return subprocess.Popen(
                words,
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def wait(self, process: "subprocess.Popen[bytes]", folder: Path) -> int:
        try:
            return process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise SystemExit(f"{process.args!r} does not end: {said(folder)}") from None

    def orphans(self, patience: float) -> list[str]:
        """Names of processes that still run after a while; they are ended."""
        until = time.monotonic() + patience
        while (found := list(self._alive())) and time.monotonic() < until:
            time.sleep(0.1)
        for number, _ in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        return [name for _, name in found]

    def _alive(self) -> Iterator[tuple[int, str]]:
        mark = f"KILLS={self.root}".encode()
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (path / "environ").read_bytes().split(b"\0"):
                    words = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
                    yield int(path.name), " ".join(Path(word).name for word in words[:4]).strip()


def needed(stages: list[Stage]) -> list[Stage]:
    """The stages with all that they begin from."""
    names, chosen = [stage.name for stage in STAGES], set()
    for stage in stages:
        left = [stage.name]
        while left:
            name = left.pop()
            number = names.index(name)
            if name not in chosen:
                chosen.add(name)
                before = STAGES[number].before or (names[number - 1] if number else "")
                left += [before] if before else []
                left += ["bundle"] if name == "unbundle" else []
    return [stage for stage in STAGES if stage.name in chosen]


def said(folder: Path) -> str:
    return (folder.parent / f"{folder.name}.log").read_text(encoding="utf-8", errors="replace")[-3000:]


# --- what is compared ------------------------------------------------------------------------------------------------


def content(path: Path) -> str:
    """Digest of a file, without what tells of the process and the time."""
    raw = path.read_bytes()
    if path.suffix == ".json":
        raw = json.dumps(_result(json.loads(raw)), sort_keys=True).encode()
    return hashlib.sha256(raw).hexdigest()


def _result(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _result(item) for key, item in value.items() if key not in OF_THE_PROCESS}
    return [_result(item) for item in value] if isinstance(value, list) else value


def contents(folder: Path) -> dict[str, str]:
    found = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    skipped = (*NOT_COMPARED, *(str(path.relative_to(folder)) for path in left_behind(folder)))
    return {name: content(path) for name, path in found.items() if not any(part in name for part in skipped)}


def differences(reference: Path, folder: Path) -> set[str]:
    """Files that are not the same, or are in one of the folders alone."""
    ours, theirs = contents(reference), contents(folder)
    return {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}


def left_behind(folder: Path) -> list[Path]:
    """Temporary files and folders, and locks."""
    locks = [path for path in (folder / ".snakemake/locks").glob("*") if path.is_file()]
    return locks + [path for path in folder.rglob("*") if TEMPORARY.fullmatch(path.name)]


def run() -> int:
    names = [stage.name for stage in STAGES]
    parser = argparse.ArgumentParser(prog="make kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="how many, over all stages (default: %(default)s)")
    parser.add_argument("--stage", action="append", choices=names, metavar="STAGE", help=", ".join(names))
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6, help="default: another one each time")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    stages = [stage for stage in STAGES if not options.stage or stage.name in options.stage]
    shares = Counter(stage.name for stage in chance.choices(stages, [one.weight for one in stages], k=options.kills))
    print(f"seed {options.seed}, {options.kills} kills", flush=True)
    began, total = time.monotonic(), Count()
    with tempfile.TemporaryDirectory(prefix="kills") as root:
        stages = [stage for stage in stages if shares[stage.name]]
        campaign = Campaign(Path(root), chance, stages)
        campaign.prepare()
        print(f"{'stage':20} kills   hit  resumed  differing  left behind  failed", flush=True)
        for stage in stages:
            count = campaign.kill(stage, shares[stage.name])
            print(row(stage.name, count), flush=True)
            for line in [*sorted(count.differing), *sorted(count.left), *count.failed]:
                print(f"    {line}", flush=True)
            total.kills, total.hit = total.kills + count.kills, total.hit + count.hit
            total.resumed += count.resumed
            total.differing |= count.differing
            total.left |= count.left
            total.failed += count.failed
    print(row("all", total))
    print(f"{(time.monotonic() - began) / 60:.1f} minutes")
    return 0 if total.fine else 1


def row(name: str, count: Count) -> str:
    numbers = f"{count.kills:5} {count.hit:5} {count.resumed:8} {len(count.differing):10} {len(count.left):12}"
    return f"{name:20} {numbers} {len(count.failed):7}"


if __name__ == "__main__":
    sys.exit(run())
