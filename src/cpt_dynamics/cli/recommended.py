"""recommended: train the runs that were recommended for one knob, and put their curves together."""

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cpt_dynamics import curves, experiments
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.config import Config
from cpt_dynamics.curves import recommended
from cpt_dynamics.curves.assemble import assemble
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Experiments
from cpt_dynamics.files import read_json
from cpt_dynamics.layout import Layout
from cpt_dynamics.training import branch


def add_recommended(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--knob", required=True, choices=recommended.KNOBS, help="whose recommended runs are trained")


def run_recommended(options: argparse.Namespace) -> None:
    config = load_config(options)
    wanted = planned(config, options.knob)
    everything = extended(config, wanted)
    plan = experiments.plan(everything.runs.values(), config)
    # The branches that the other runs share with these are done and stay as they are.
    branch.train(plan.needed(wanted), plan, config, skip_done=True)
    table, schedules = assemble([everything.runs[name] for name in wanted], plan, Layout(config))
    curves.write_schedules(recommended.schedules_path(config, options.knob), schedules)
    curves.write(recommended.curves_path(config, options.knob), table)
    print(f"{options.knob}: {', '.join(wanted)} in {recommended.curves_path(config, options.knob)}")


def planned(config: Config, knob: str) -> dict[str, Any]:
    """Run -> its entry, as experiments.yaml would state it, for every value recommended for a knob."""
    path = recommended.plan_path(config)
    if not path.exists():
        raise UserError(f"{path} does not exist: write it with `cpt-dynamics recommendations`")
    try:
        return {str(name): entry for name, entry in read_json(path)["knobs"][knob]["runs"].items()}
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{path} recommends no runs for {knob}: write it with `cpt-dynamics recommendations`") from None


def extended(config: Config, entries: Mapping[str, Any]) -> Experiments:
    """The runs of the experiments with some more after them, so that those fork from the checkpoints there are."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recommended.yaml"
        path.write_text(yaml.safe_dump({"runs": dict(entries)}, sort_keys=False))
        return experiments.load(config.model_copy(update={"experiments": [*config.experiments, str(path)]}))
