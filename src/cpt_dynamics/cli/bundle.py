"""bundle, unbundle: train on a machine without a network, and bring its results home."""

import argparse
import shutil
import subprocess
from pathlib import Path

from cpt_dynamics import experiments
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Plan
from cpt_dynamics.files import sha256
from cpt_dynamics.slots import bundle, finished, results
from cpt_dynamics.training.results import result_of
from cpt_dynamics.training.work import Why


def add_bundle(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="tar file to write")
    home = "pack the branches that are done here, to be unbundled at home"
    parser.add_argument("--results", action="store_true", help=home)
    parser.add_argument("--figure", action="append", metavar="FIGURE", help="only the runs of this figure (repeatable)")
    wheels = "pack the packages of this folder, too (see `pip download`)"
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help=wheels)
    checkpoints = "pack the checkpoints of finished branches that others start from"
    parser.add_argument("--checkpoints", action="store_true", help=checkpoints)


def run_bundle(options: argparse.Namespace) -> None:
    config = load_config(options)
    all_runs = experiments.load(config)
    plan = experiments.plan(all_runs.runs.values(), config)
    if options.results:
        if options.figure or options.wheels or options.checkpoints:
            raise UserError("--results packs what is done here: --figure, --wheels and --checkpoints go without it")
        names = results.pack_results(options.out, plan, config)
        print(f"{options.out}: {len(names)} of {len(plan.branches)} branches of the scale {config.scale}")
    else:
        branches = plan.needed(all_runs.chosen(options.figure))
        work = bundle.pack_work(options.out, branches, plan, config, options.wheels, options.checkpoints)
        _say_work(options.out, work, plan, config, options.checkpoints)
    print(f"{options.out.stat().st_size / 1e6:,.1f} MB, sha256 {sha256(options.out)}")


def _say_work(out: Path, work: dict[str, Why], plan: Plan, config: Config, checkpoints: bool) -> None:
    branches = [plan.branches[name] for name in work]
    print(f"{out}: {len(work)} branches to train, {sum(branch.steps for branch in branches):,} steps")
    again = [name for name, why in work.items() if why == "again"]
    if again and not checkpoints:
        print(
            f"{len(again)} of them ({', '.join(again[:3])}{' ...' if again[3:] else ''}) are done here and trained"
            " again there, since others start from them: --checkpoints saves that on a machine of the same kind"
        )
    for model, travels in bundle.pretrained(branches, config).items():
        if not travels:
            print(f"the model {model} is not in the bundle: it must be there under the same name")


def add_unbundle(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("bundle", type=Path, metavar="FILE", help="tar file that `bundle --results` wrote")


def run_unbundle(options: argparse.Namespace) -> None:
    config = load_config(options)
    plan = experiments.plan(experiments.load(config).runs.values(), config)
    say_taken(results.take_results(options.bundle, plan, config), plan, config, options.configfile)


def say_taken(taken: results.Taken, plan: Plan, config: Config, configfile: list[str]) -> None:
    """Let Snakemake know of branches that were taken as done, and say how many are."""
    names, new, _ = taken
    _forget([path for name in names for path in result_of(name, config)], configfile)
    done = len(finished(plan.branches.values(), config))
    before = f", {len(names) - len(new)} were here before" if len(names) > len(new) else ""
    print(f"{len(new)} branches taken as done{before}; {done} of {len(plan.branches)} are done")


def _forget(files: list[Path], configfile: list[str]) -> None:
    """Remove Snakemake's records of an earlier making of files, in which their inputs, or that it failed, may differ.

    Without a record it goes by dates alone.
    """
    if not Path(".snakemake").is_dir() or not shutil.which("snakemake"):
        return
    command = ["snakemake", *(["--configfile", *configfile] if configfile else [])]
    command += ["--cleanup-metadata", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "metadata was not present" not in done.stderr:
        line = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it says nothing")
        print(
            f"Snakemake may train some of these again, since its records of them could not be removed: {line.strip()}"
        )
