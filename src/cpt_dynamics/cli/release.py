"""release: a folder of released curves."""

import argparse
from pathlib import Path

from cpt_dynamics import experiments
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.cli.recommended import extended, planned
from cpt_dynamics.config import Config
from cpt_dynamics.curves import recommended, releasing
from cpt_dynamics.curves.released import CONTENTS
from cpt_dynamics.curves.releasing import Part
from cpt_dynamics.layout import Layout


def add_release(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="folder to write (default: `<released>/<scale>` of the configuration)",
    )


def run_release(options: argparse.Namespace) -> None:
    config = load_config(options)
    all_runs = experiments.load(config)
    parts = [Part(experiments.plan(all_runs.runs.values(), config), [all_runs.runs[n] for n in all_runs.chosen(None)])]
    plan = None
    if recommended.FIGURE in all_runs.figures:
        plan = recommended.plan_path(config)
        parts += [_recommended(knob, config) for knob in recommended.KNOBS]
    folder = (options.out or Layout(config).release).resolve()
    contents = releasing.write(folder, parts, config, plan)
    size = sum(file["bytes"] for file in contents["files"].values())
    print(f"{contents['name']}: {sum(len(part.runs) for part in parts)} runs, {size / 1e6:.1f} MB")
    print(folder / CONTENTS)


def _recommended(knob: str, config: Config) -> Part:
    """The runs that were recommended for a knob, as `recommended` trains them."""
    wanted = planned(config, knob)
    everything = extended(config, wanted)
    plan = experiments.plan(everything.runs.values(), config)
    return Part(plan, [everything.runs[name] for name in wanted], knob)
