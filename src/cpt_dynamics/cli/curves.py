"""curves: the curve table and the schedule of every run."""

import argparse

from cpt_dynamics import curves, experiments
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.curves.assemble import assemble
from cpt_dynamics.curves.released import Release
from cpt_dynamics.errors import UserError
from cpt_dynamics.layout import Layout


def add_curves(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("name", nargs="+", help="runs, or figures whose runs are meant, of experiments.yaml")


def run_curves(options: argparse.Namespace) -> None:
    config = load_config(options)
    all_runs = experiments.load(config)
    names = dict.fromkeys(run for name in options.name for run in all_runs.named(name))
    if not names:
        raise UserError(f"{', '.join(options.name)}: made without runs, so there are no curves")
    runs = [all_runs.runs[name] for name in names]
    layout = Layout(config)
    plan = experiments.plan(all_runs.runs.values(), config)
    if config.curves == "released":
        rows, lrs = Release.open(layout.release).curves(runs, plan, config)
    else:
        rows, lrs = assemble(runs, plan, layout)
    schedules = dict(iter(lrs.groupby("run")))
    for name, table in rows.groupby("run"):
        curves.write_schedules(layout.schedules(str(name)), schedules[name])
        curves.write(layout.curves(str(name)), table)
    print(f"{len(rows):,} losses of {len(runs)} runs in {layout.curves(runs[0].name).parent}")
