"""export: a checkpoint as a Hugging Face model folder."""

import argparse
from pathlib import Path

from cpt_dynamics import experiments
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.errors import UserError
from cpt_dynamics.training import export


def add_export(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("run", help="a run of experiments.yaml")
    parser.add_argument("folder", type=Path, help="folder to write; it must not exist yet")
    parser.add_argument("--step", type=int, help="step of the run (default: its last)")


def run_export(options: argparse.Namespace) -> None:
    config = load_config(options)
    all_runs = experiments.load(config)
    if options.run not in all_runs.runs:
        raise UserError(f"there is no run {options.run!r} in {config.stated_in}")
    if options.folder.exists():
        raise UserError(f"{options.folder} exists already: name a new folder")
    plan = experiments.plan(all_runs.runs.values(), config)
    export.export(all_runs.runs[options.run], options.step, plan, config, options.folder)
    print(f"{options.run} in {options.folder}: load it with AutoModelForCausalLM.from_pretrained")
