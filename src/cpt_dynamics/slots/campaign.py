"""A campaign: the branches of a plan trained stage by stage, in short slots on machines that may start empty."""

import shutil
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Required

from pydantic import BaseModel

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Plan, estimates
from cpt_dynamics.files import atomic, fitting, read_json, write_json
from cpt_dynamics.layout import Layout
from cpt_dynamics.slots.results import Taken, pack_results, take_results
from cpt_dynamics.slots.stages import Stage, Times, cut, with_ancestors
from cpt_dynamics.training import work, workers
from cpt_dynamics.training.instances import parent_of
from cpt_dynamics.training.results import finished, manifest_of, other_input, result_of, whole
from cpt_dynamics.training.work import Record, Records, Seconds

RESULT_LIMIT = 16 * 2**20  # bytes that a file of results stays below
MEMBER = 2048  # bytes that a file in a bundle takes besides its content, at most
LOG = 2**16  # bytes of the end of a branch's log that come home when it failed


class Packed(BaseModel):
    """`stages.json`: the stages as they were packed, and the seconds that each branch was expected to take."""

    seconds: dict[str, Seconds] = {}
    stages: list[Stage] = []


class Row(Record):
    """What is read of a ledger's row."""

    branch: Required[str]
    seconds: Required[Seconds]
    text: dict[str, str] | None
    parent: str | None


class Ledger(BaseModel):
    """`ledger.json`."""

    branches: list[Row]


# --- how long training takes --------------------------------------------------------------------------------------


def times(plan: Plan, config: Config, stated: dict[str, float] | None = None) -> Times:
    """Seconds of every branch: by the measured speed of its model; else as `stated`, or as estimated."""
    measured = speeds(plan, config)
    seconds = {}
    for branch in plan.branches.values():
        if branch.run.model in measured:
            seconds[branch.id] = branch.tokens / measured[branch.run.model]
        elif stated and branch.id in stated:
            seconds[branch.id] = stated[branch.id]
        else:
            seconds[branch.id] = 3600 * estimates.estimate(branch, config).device_hours
    return Times(seconds, 60 * config.estimates.start_minutes)


def speeds(plan: Plan, config: Config) -> dict[str, float]:
    """Model -> tokens a second of the device that was used last: the median of its branches that are done here.

    Of branches that shared a device it is what the device did, where the record of their training says so. The share of
    one that had the device for itself is 1, although its worker's start took time, too.
    """
    known = ledger(config) | records(config)
    found: dict[str, dict[str, list[float]]] = {}
    latest = ("", "")
    for branch in plan.branches.values():
        done = whole(result_of(branch.id, config)[0])
        if done is None or not done.tokens_per_second or not done.steps_trained:
            continue
        device = done.numerics.device
        latest = max(latest, (done.finished, device))
        used = known.get(branch.id, {}).get("device_seconds") or done.wall_seconds
        speed = done.tokens_per_second * max(1.0, done.wall_seconds / used)
        found.setdefault(device, {}).setdefault(branch.run.model, []).append(speed)
    return {model: statistics.median(values) for model, values in found.get(latest[1], {}).items()}


# --- the stages ---------------------------------------------------------------------------------------------------


def stages(groups: dict[str, list[str]], plan: Plan, config: Config, minutes: float, anew: bool = False) -> list[Stage]:
    """The stages of the campaign: those that were packed before, and further ones for what these do not have.

    anew: only stages that are wholly done stay; what is left of the others is cut again, from the speeds known now.
    """
    done = finished(plan.branches.values(), config)
    before = packed(plan, config)
    first = 1 + max([stage.number for stage in before], default=0)
    if anew:
        before = [stage for stage in before if done.issuperset(stage.branches)]
    there = done.union(*(stage.branches for stage in before))
    left = {group: [name for name in members if name not in there] for group, members in groups.items()}
    return before + cut(left, plan, times(plan, config), 60 * minutes, first)


def packed(plan: Plan, config: Config) -> list[Stage]:
    """The stages as they were packed, without branches that the configuration no longer has."""
    here = [
        replace(stage, branches=tuple(name for name in stage.branches if name in plan.branches))
        for stage in _packed(config).stages
    ]
    return [stage for stage in here if stage.branches]


def _packed(config: Config) -> Packed:
    path = _stages_path(config)
    return fitting(Packed, read_json(path), path, "pack the campaign again") if path.exists() else Packed()


def write_stages(chosen: list[Stage], plan: Plan, config: Config) -> Path:
    """Note the stages that are packed, with the time that each branch is expected to take; returns the file."""
    path = _stages_path(config)
    seconds = times(plan, config).branches
    write_json(path, {"seconds": seconds, "stages": [asdict(stage) for stage in chosen]})
    return path


def _stages_path(config: Config) -> Path:
    return Layout(config).campaign / "stages.json"


# --- a stage, on the other machine --------------------------------------------------------------------------------


@dataclass
class Slot:
    """A time in which branches are trained, and what each of them took of the device (a `workers.Watch`)."""

    until: float
    expected: Times
    done: Callable[[str, float], None]
    used: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    clock: float = 0.0
    begun: bool = False

    def allows(self, branch: str) -> bool:
        """Whether a branch is expected to end in time, sharing the device with those that run.

        The first one may start in any case: what does not fit into one slot goes on in the next from a checkpoint.
        """
        self._tick()
        seconds = self.expected.branches
        left = sum(max(0.0, seconds[name] - used) for name, used in self.used.items())
        return not self.begun or self.clock + left + seconds[branch] <= self.until

    def started(self, branch: str) -> None:
        self._tick()
        self.begun = True
        self.used[branch] = 0.0

    def ended(self, branch: str, done: bool) -> None:
        self._tick()
        used = self.used.pop(branch)
        if done:
            self.done(branch, used)
        else:
            self.failed.append(branch)

    def _tick(self) -> None:
        """Divide the time since the last look among the branches that ran."""
        now = time.monotonic()
        for name in self.used:
            self.used[name] += (now - self.clock) / len(self.used)
        self.clock = now


class Outcome(NamedTuple):
    """What a stage has come to: its branches done, those left, what failed, and what was trained just now."""

    done: list[str]
    left: list[str]
    failures: list[str]
    trained: list[str]


def asked(plan: Plan, config: Config, rows: Records) -> set[str]:
    """Branches whose results the bundle in the working folder is for, except for those that are home already.

    rows: of the ledger at home. A row counts if its branch was trained from the text and weights that are here.
    """
    wanted = work.wanted(plan.branches) - work.trained_again()
    home = {name for name in wanted if name in rows and not other_input(rows[name], plan.branches[name], config)}
    return wanted - home


def waiting(left: set[str], plan: Plan, config: Config) -> list[int]:
    """Stages of the bundle in the working folder that have branches of those that are `left`, in their order."""
    return [stage.number for stage in packed(plan, config) if left.intersection(stage.branches)]


def train(
    number: int,
    out: Path,
    until: float,
    processes: int | None,
    asked: set[str],
    plan: Plan,
    config: Config,
    later: bool = False,
) -> Outcome:
    """Train what a stage misses, in the folder of an unpacked bundle, and pack its branches after each that ends.

    If branches fail, the ends of their logs are in `out`, too.

    until: of `time.monotonic`. asked: branches whose results are wanted. later: another stage was trained in this slot
    before, so that nothing is begun which is not expected to end in time.
    """
    if config.device.processes > 1:
        raise UserError("device.processes trains a branch in several processes: a campaign trains several branches")
    known = {stage.number: stage for stage in packed(plan, config)}
    if number not in known:
        raise UserError(f"there is no stage {number}: choose one of {', '.join(map(str, known))}")
    stage = known[number]
    wanted = [name for name in stage.branches if name in asked]
    out.mkdir(parents=True, exist_ok=True)
    for cut_off in out.glob(f".{config.scale}-stage*.tar.*"):  # a process that was killed left it
        shutil.rmtree(cut_off, ignore_errors=True)
    log = out / f"{config.scale}-stage{number:02d}.log"
    log.unlink(missing_ok=True)
    here: set[str] = set()

    def pack(ended: Iterable[str]) -> None:
        """Pack what is done of the stage, when some branches may have come to their end."""
        here.update(finished([plan.branches[name] for name in ended], config))
        _pack_results(out, stage, here.intersection(wanted), plan, config)

    def done(branch: str, seconds: float) -> None:
        write_json(_records_path(config), {**records(config), branch: {"device_seconds": round(seconds, 3)}})
        pack([branch])
        slot.expected = times(plan, config, stated)  # the speed of this device is known by now

    pack(with_ancestors(wanted, plan))
    missing = [name for name in with_ancestors(set(wanted) - here, plan) if name not in here]
    failures: list[str] = []
    if missing:
        stated = _packed(config).seconds
        expected = times(plan, config, stated)
        first = min(expected.branches[name] for name in missing if plan.branches[name].parent not in missing)
        if not later or time.monotonic() + expected.start + first <= until:
            slot = Slot(until, expected, done, begun=later)
            failures = _train(missing, processes, slot, plan, config)
            pack(missing)  # one may end as the time does
            _keep_logs(log, slot.failed, config)
    return Outcome(
        done=[name for name in wanted if name in here],
        left=[name for name in wanted if name not in here],
        failures=failures,
        trained=[name for name in missing if name in here],
    )


def _train(missing: list[str], processes: int | None, slot: Slot, plan: Plan, config: Config) -> list[str]:
    from cpt_dynamics.training import device  # torch takes seconds

    device.resolve(config.device)  # says what is wrong or lacking here, not in the log of every branch alone
    devices = workers.gpus(config)
    branches = [plan.branches[name] for name in missing]
    return workers.train(branches, plan, config, processes or max(1, len(devices)), devices, slot)


def _keep_logs(path: Path, branches: list[str], config: Config) -> None:
    """Write what branches printed last, which tells why they failed."""
    logs = {name: workers.log_of(name, Layout(config)) for name in branches}
    ends = {name: file.read_bytes()[-LOG:] for name, file in logs.items() if file.exists()}
    if ends:
        with atomic(path) as made:
            made.write_bytes(b"".join(f"--- {name}\n".encode() + end for name, end in ends.items()))


def _records_path(config: Config) -> Path:
    return Layout(config).campaign / "records.json"


def records(config: Config) -> Records:
    """What this machine knows of the training of branches besides the manifests."""
    path = _records_path(config)
    known = fitting(dict[str, Record], read_json(path), path, "delete it") if path.exists() else {}
    return {name: dict(record) for name, record in known.items()}


def _pack_results(out: Path, stage: Stage, names: Iterable[str], plan: Plan, config: Config) -> None:
    """Write the results of a stage's branches as files below the limit.

    They are in the order in which they ended, so that no branch moves from one file to another with those that follow.
    """
    files: list[list[str]] = []
    for name in sorted(names, key=lambda name: result_of(name, config)[-1].stat().st_mtime_ns):
        if files and _bytes([*files[-1], name], plan, config) < RESULT_LIMIT:
            files[-1].append(name)
        else:
            files.append([name])
    known = records(config)
    said = {name: {"stage": stage.number, **known.get(name, {})} for name in stage.branches}
    for number, part in enumerate(files, 1):
        pack_results(out / f"{config.scale}-stage{stage.number:02d}-{number}.tar", plan, config, part, said)


def _bytes(names: list[str], plan: Plan, config: Config) -> int:
    """Bytes of a bundle of results, at most: with all that the branches start from."""
    files = [file for name in with_ancestors(names, plan) for file in result_of(name, config) if file.exists()]
    return 10240 + sum(file.stat().st_size + MEMBER for file in files)


# --- at home ------------------------------------------------------------------------------------------------------


def assemble(files: Iterable[Path], plan: Plan, config: Config) -> Taken:
    """Take results that came home as done work, and enter them into the ledger; their records are its rows."""
    names: list[str] = []
    new: list[str] = []
    rows: Records = {}
    for file in sorted(files, key=lambda path: path.name):
        taken = take_results(file, plan, config, keep_others=True)
        names += taken.names
        new += taken.new
        rows |= _enter({name: taken.records.get(name, {}) for name in taken.names}, plan, config)
    return Taken(names, new, rows)


def _enter(taken: Records, plan: Plan, config: Config) -> Records:
    """Enter branches that came home, with what is known of their training, into the ledger; returns their rows."""
    rows = {}
    for name in (name for name in plan.branches if name in taken):
        losses, _ = result_of(name, config)
        manifest, parent = manifest_of(losses), plan.branches[name].parent
        rows[name] = {
            "branch": name,
            **taken[name],
            "finished": manifest.finished,
            "device": manifest.numerics.device,
            "seconds": manifest.wall_seconds,
            **manifest.model_dump(include={"tokens_per_second", "text", "weights", "started_from"}),
            # the training that it started from: the parent's own, or one that came home beside it
            "parent": parent_of(losses, parent, Layout(config)).stem if parent else None,
        }
    known = {**ledger(config), **rows}
    known = {name: known[name] for name in plan.branches if name in known} | known  # in the order of the plan
    write_json(ledger_path(config), {"branches": list(known.values())})
    return rows


def ledger(config: Config) -> Records:
    """In which stage, when, on what and how fast branches were trained, and from which training of their parents."""
    path = ledger_path(config)
    return read_ledger(path) if path.exists() else {}


def read_ledger(path: Path) -> Records:
    """The rows of a ledger by branch."""
    remedy = "give the ledger.json that `cpt-dynamics campaign merge` wrote"
    raw = read_json(path)
    fitting(Ledger, raw, path, remedy)
    return {row["branch"]: row for row in raw["branches"]}


def ledger_path(config: Config) -> Path:
    return Layout(config).campaign / "ledger.json"
