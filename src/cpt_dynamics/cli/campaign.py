"""campaign: train a plan in short slots on a machine that may start empty and has no network."""

import argparse
import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from cpt_dynamics import slots
from cpt_dynamics.cli import text
from cpt_dynamics.cli.bundle import say_taken
from cpt_dynamics.cli.options import add_config, check_positive, load_config
from cpt_dynamics.config import Config
from cpt_dynamics.curves import trials
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Plan
from cpt_dynamics.experiments.estimates import scaled
from cpt_dynamics.files import room_for
from cpt_dynamics.layout import Layout
from cpt_dynamics.slots import bundle, campaign, parts
from cpt_dynamics.slots.stages import Stage, grouped, with_ancestors

MIB = 2**20


def add_campaign(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    listed = what.add_parser("plan", help="list the stages and the time that each is expected to take; writes nothing")
    packed = what.add_parser("pack", help="write what the other machine needs, in parts that travel one by one")
    receive = what.add_parser("receive", help="on the other machine: take parts that came, unpack them when all did")
    run = what.add_parser("run", help="on the other machine: train what stages miss, and pack their results")
    merge = what.add_parser("merge", help="take results that came home as done work, and enter them into the ledger")
    status = what.add_parser("status", help="say what is done, and which stage comes next")
    calls = {listed: _plan, packed: _pack, receive: _receive, run: _run, merge: _merge, status: _status}
    for part, call in calls.items():
        part.set_defaults(call=call)
    for part in (listed, packed, merge, status):
        add_config(part)
    groups = "what is trained first (default: %(default)s; without that file, figure after figure)"
    for part in (listed, packed, status):
        part.add_argument("--groups", type=Path, default=Path("config/campaign.yaml"), metavar="FILE", help=groups)
        part.add_argument(
            "--anew", action="store_true", help="cut what is not done again, from the speeds known by now"
        )
    minutes = "length of a slot, with the start (default: %(default)g)"
    for part in (listed, packed, run, status):
        part.add_argument("--minutes", type=float, default=9.0, help=minutes)
    size = "largest size of a part (default: %(default)g)"
    packed.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder for the parts")
    packed.add_argument("--limit-mib", type=float, default=48.0, metavar="MIB", help=size)
    wheels = "packages that the other machine lacks (see `pip download`)"
    packed.add_argument("--wheels", type=Path, metavar="FOLDER", help=wheels)
    receive.add_argument("folder", type=Path, metavar="FOLDER", help="folder with the parts that came")
    receive.add_argument("--to", type=Path, required=True, metavar="WORK", help="folder that lasts between slots")
    number = "number of a stage, or `next`: those that are left, as time allows"
    run.add_argument("stages", nargs="*", metavar="STAGE", help=number)
    run.add_argument("--work", type=Path, required=True, metavar="WORK", help="folder that `receive` filled")
    before = "receive what came into this folder before; no more if parts miss"
    run.add_argument("--parts", type=Path, metavar="FOLDER", help=before)
    run.add_argument("--out", type=Path, required=True, metavar="OUT", help="folder for the results")
    run.add_argument("--processes", type=int, metavar="N", help="branches trained at once (default: one a GPU)")
    run.add_argument("--done", type=Path, metavar="FILE", help="ledger of what is home already")
    merge.add_argument("files", type=Path, nargs="+", metavar="FILE", help="results that `run` wrote")


def run_campaign(options: argparse.Namespace) -> int:
    return int(options.call(options))


# --- at home -----------------------------------------------------------------------------------------------------


def _stages(options: argparse.Namespace) -> tuple[list[Stage], Plan, Config]:
    check_positive(options, "minutes")
    config = load_config(options)
    everything, plan = trials.with_trials(config)
    groups = grouped(everything, plan, options.groups)
    return slots.plan(groups, plan, config, options.minutes, options.anew), plan, config


def _plan(options: argparse.Namespace) -> int:
    stages, plan, config = _stages(options)
    done, times = slots.finished(plan.branches.values(), config), campaign.times(plan, config)
    rows, left = [], []
    for stage in stages:
        needed = with_ancestors(stage.branches, plan)
        new, missing = len(stage.branches), len(set(stage.branches) - done)
        minutes = times.of(needed, plan) / 60
        state = "done" if not missing else "missing" if missing == new else f"{missing} missing"
        again, groups = len(needed) - new, ", ".join(stage.groups)
        rows.append((str(stage.number), f"{new} / {again}", *_size(needed, plan), f"{minutes:.1f}", state, groups))
        if missing:
            left.append((str(stage.number), needed, minutes))
    print("\n".join(text.table(("stage", "new / again", "steps", "tokens", "minutes", "", "groups "), rows)))
    steps, tokens = _size([name for _, needed, _ in left for name in needed], plan)
    print(
        f"\n{len(stages)} stages, {len(left)} of them not done: {steps} steps, {tokens} tokens,"
        f" {sum(minutes for *_, minutes in left):,.0f} minutes on one device"
    )
    measured = campaign.speeds(plan, config)
    for model, speed in measured.items():
        print(f"measured: {model}, {speed:,.0f} tokens/s")
    models = dict.fromkeys(branch.run.model for branch in plan.branches.values())
    if guessed := [model for model in models if model not in measured]:
        print(f"estimated at {config.estimates.teraflops:g} Tflop/s, not measured: {', '.join(guessed)}")
    if long := [number for number, _, minutes in left if minutes > options.minutes]:
        print(
            f"longer than {options.minutes:g} minutes: {', '.join(long)}; such a stage goes on in the next slot from"
            " its checkpoints, if the working folder is still there"
        )
    return 0


def _size(names: list[str], plan: Plan) -> tuple[str, str]:
    """Steps and tokens of branches, for people."""
    branches = [plan.branches[name] for name in names]
    return f"{sum(branch.steps for branch in branches):,}", scaled(sum(branch.tokens for branch in branches))


def _pack(options: argparse.Namespace) -> int:
    check_positive(options, "limit_mib")
    if not 1 <= options.limit_mib * MIB < 2**63:
        raise UserError(f"--limit-mib is {options.limit_mib:g}: give what a part may have, such as 48")
    stages, plan, config = _stages(options)
    options.out.mkdir(parents=True, exist_ok=True)
    # The plan is made from what is recommended, too.
    files = [campaign.write_stages(stages, plan, config), trials.plan_path(config)]
    there, root = Path("results") / config.scale, Layout(config).root
    more = {str(there / path.relative_to(root)): path for path in files if path.exists()}
    branches = [plan.branches[name] for stage in stages for name in stage.branches]
    gathering = bundle.gathered(options.out.resolve().parent, branches, plan, config, options.wheels, more=more)
    with room_for(options.out), gathering as (contents, members):
        index = parts.write(options.out, int(options.limit_mib * MIB), contents, members)
    for part in [*index.wheels, *index.parts]:
        print(f"{options.out / part.name}: {part.size / MIB:.1f} MiB")
    again = sum(why == "again" for why in contents.work.values())
    print(
        f"{parts.INDEX} and {parts.SLOT.name} of {options.out} go with them:"
        f" {len(contents.work)} branches in {len(stages)} stages"
        + (f", {again} of them done here and trained again there, since others start from them" if again else "")
    )
    return 0


def _merge(options: argparse.Namespace) -> int:
    config = load_config(options)
    _, plan = trials.with_trials(config)
    taken = slots.assemble(options.files, plan, config)
    say_taken(taken, plan, config, options.configfile)
    for name, row in taken.records.items():
        if row["parent"] not in (plan.branches[name].parent, None):
            print(f"{name} started from another training of its parent, whose losses came with it: {row['parent']}")
    print(f"ledger: {campaign.ledger_path(config)}")
    return 0


def _status(options: argparse.Namespace) -> int:
    stages, plan, config = _stages(options)
    done, ledger = slots.finished(plan.branches.values(), config), campaign.ledger(config)
    for group in dict.fromkeys(group for stage in stages for group in stage.groups):
        ready = [done.issuperset(stage.branches) for stage in stages if group in stage.groups]
        print(f"{group}: {sum(ready)} of {len(ready)} stages done")
    minutes = sum(row["seconds"] for row in ledger.values()) / 60
    print(f"{len(done)} of {len(plan.branches)} branches done, {len(ledger)} in the ledger ({minutes:,.1f} minutes)")
    following = next((stage for stage in stages if not done.issuperset(stage.branches)), None)
    print(f"next: stage {following.number} ({', '.join(following.groups)})" if following else "all stages are done")
    return 0


# --- on the other machine ----------------------------------------------------------------------------------------


def _receive(options: argparse.Namespace) -> int:
    with _alone(options.to):
        _take(options.folder, options.to)
    return 0


@contextlib.contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Hold the working folder: two processes must not train one branch. The lock ends with the process."""
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"another command works in {work}: wait for its end") from None
        yield


def _take(folder: Path, work: Path) -> bool:
    """Receive parts; returns whether all are there."""
    missing = parts.receive(folder, work)
    if missing:
        print(f"still missing: {', '.join(missing)}")
    else:
        print(f"all parts are here and unpacked: {parts.unpacked(work)}")
    return not missing


def _run(options: argparse.Namespace) -> int:
    check_positive(options, "minutes", "processes")
    until = time.monotonic() + 60 * options.minutes
    out = options.out.resolve()
    home = campaign.read_ledger(options.done) if options.done else {}
    with _alone(options.work):
        if options.parts and not _take(options.parts, options.work):
            return 0
        with contextlib.chdir(parts.unpacked(options.work)):
            config = load_config(argparse.Namespace(configfile=[]))
            _, plan = trials.with_trials(config)
            asked = campaign.asked(plan, config, home)
            left = campaign.waiting(asked - slots.finished(plan.branches.values(), config), plan, config)
            if not options.stages:
                print(f"stages that are left: {', '.join(map(str, left)) or 'none'}")
                return 0
            if options.stages == ["next"]:
                # What is trained here is packed again where the ledger says that it is not home.
                numbers = campaign.waiting(asked, plan, config) if options.done else left
            elif all(stage.isdecimal() for stage in options.stages):
                numbers = [int(stage) for stage in options.stages]
            else:
                raise UserError(f"{' '.join(options.stages)!r} are no stages: give numbers, or `next` alone")
            if not numbers:
                print("all stages are done")
            train = partial(
                slots.train, out=out, until=until, processes=options.processes, asked=asked, plan=plan, config=config
            )
            return _run_stages(numbers, left, out, train)


def _run_stages(numbers: list[int], untrained: list[int], out: Path, train: Callable[..., campaign.Outcome]) -> int:
    """Train stages one after another, up to one in which all that began failed; returns 1 if a branch failed."""
    failed, more, later = False, False, False
    for number in numbers:
        done, left, failures, trained = train(number, later=later)
        for line in failures:
            print(f"failed: {line}")
        if done or not later:
            print(f"stage {number}: {len(done)} branches done, {len(left)} left; results in {out}", flush=True)
        failed = failed or bool(failures)
        more = more or bool(left and not failures)
        later = later or number in untrained
        if failures and not trained:
            print("nothing of this stage could be trained, so none after it is begun: name stages to leave it out")
            break
    if more:
        print("the time is over: the same command goes on where this one ended")
    return 1 if failed else 0
