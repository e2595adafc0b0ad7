"""recommended: the curves of the runs that were recommended for one knob, trained or released."""

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from cpt_dynamics import curves, experiments
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.config import Config
from cpt_dynamics.curves import recommended
from cpt_dynamics.curves.assemble import assemble
from cpt_dynamics.curves.released import Release
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Experiments, Plan
from cpt_dynamics.experiments.branches import joined
from cpt_dynamics.files import read_json
from cpt_dynamics.layout import Layout
from cpt_dynamics.training.results import is_finished


def add_recommended(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--knob", required=True, choices=recommended.KNOBS, help="whose recommended runs are trained")


def run_recommended(options: argparse.Namespace) -> None:
    config = load_config(options)
    wanted = planned(config, options.knob)
    everything = extended(config, wanted)
    made = _released if config.curves == "released" else _trained
    table, schedules = made(options.knob, wanted, everything, config)
    curves.write_schedules(recommended.schedules_path(config, options.knob), schedules)
    curves.write(recommended.curves_path(config, options.knob), table)
    print(f"{options.knob}: {', '.join(wanted)} in {recommended.curves_path(config, options.knob)}")


def _trained(
    knob: str, wanted: Mapping[str, Any], everything: Experiments, config: Config
) -> tuple[pd.DataFrame, pd.DataFrame]:
    plan = experiments.plan(everything.runs.values(), config)
    # Those that the other runs share with these are done, and so may be all: they may have been trained elsewhere.
    left = [branch for branch in plan.needed(wanted) if not is_finished(branch, config)]
    if left:
        from cpt_dynamics.training import branch as training  # torch takes seconds

        training.train(left, plan, config)
    return assemble([everything.runs[name] for name in wanted], plan, Layout(config))


def _released(
    knob: str, wanted: Mapping[str, Any], everything: Experiments, config: Config
) -> tuple[pd.DataFrame, pd.DataFrame]:
    release = Release.open(Layout(config).release)
    if not wanted.keys() <= release.runs.keys():
        released = release.path("recommended.json")
        raise UserError(
            f"{knob}: the fits recommend {_values(recommended.plan_path(config), knob)}, but the runs of"
            f" {release.folder} tried {_values(released, knob)}: undo what changes the fits (such as the section"
            " `law`), or train what they recommend with `curves: trained`"
        )
    return release.curves([everything.runs[name] for name in wanted], config)


def _values(plan: Path, knob: str) -> str:
    """The values that a file of recommendations states for a knob."""
    found = read_json(plan)["knobs"][knob]["recommendations"]
    return ", ".join(f"{one['value']:g} (w1 = {one['weight']:g})" for one in found)


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


def with_recommended(config: Config) -> tuple[Experiments, Plan]:
    """All runs and branches: those of the experiments and, once fits have recommended some, of the recommended runs.

    The branches of the latter are those that `recommended` trains knob by knob; they count to the same figure.
    """
    everything = experiments.load(config)
    plans = [experiments.plan(everything.runs.values(), config)]
    if recommended.FIGURE not in everything.figures or not recommended.plan_path(config).exists():
        return everything, plans[0]
    runs = dict(everything.runs)
    tried: list[str] = []
    for knob in recommended.KNOBS:
        wanted = planned(config, knob)
        more = extended(config, wanted)
        plans.append(experiments.plan(more.runs.values(), config))
        runs |= {name: more.runs[name] for name in wanted}
        tried += wanted
    entry = everything.figures[recommended.FIGURE]
    entry = entry.model_copy(update={"heldout": [*entry.heldout, *tried]})
    return replace(everything, runs=runs, figures={**everything.figures, recommended.FIGURE: entry}), joined(plans)
