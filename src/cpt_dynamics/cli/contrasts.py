"""contrasts: where the planned contrasts of a scale stand, from the curves that are there so far."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cpt_dynamics import claims, experiments, figures
from cpt_dynamics.claims import contrasts
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.cli.planned import lines
from cpt_dynamics.curves.assemble import assemble, trained
from cpt_dynamics.curves.released import Release
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Experiments
from cpt_dynamics.figures.contrasts.result import Result
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit.saving import save
from cpt_dynamics.files import write_json
from cpt_dynamics.layout import Layout


def add_contrasts(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--measured", type=Path, metavar="FOLDER", help="read branches that were packed in a folder")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write contrasts.json and the figure there")


def run_contrasts(options: argparse.Namespace) -> None:
    config, stated = load_config(options), claims.load()
    all_runs = experiments.load(config)
    names = all_runs.runs_of(contrasts.FIGURE)
    layout = Folder(config, options.measured) if options.measured else Layout(config)
    tables = so_far(names, all_runs, layout)
    data = FigureData(contrasts.FIGURE, config, all_runs, tables=tables)
    found = figures.analyse(data)
    assert isinstance(found, Result)
    there = tables[0]["run"].nunique()
    print(f"{there} of {len(names)} runs are there")
    print("\n".join(lines(contrasts.decisions(stated, config.scale, found), found)))
    if options.out:
        write_json(options.out / "contrasts.json", contrasts.to_json(stated, config.scale, found))
        drawn, numbers = figures.draw(data, contrasts.decided(found, stated, config.scale))
        save(drawn, numbers, options.out, contrasts.FIGURE)
        print(f"in {options.out}")


@dataclass(frozen=True)
class Folder(Layout):
    """Branches that `measured --pack` has put into a folder, which are read where they are."""

    folder: Path

    def branch(self, branch: str) -> Path:
        return self.folder / f"{branch}.parquet"

    def instances(self, branch: str) -> list[Path]:
        return []


def so_far(names: list[str], all_runs: Experiments, layout: Layout) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Curves and schedules of those of the runs that are trained, or released."""
    config = layout.config
    plan = experiments.plan(all_runs.runs.values(), config)
    if config.curves == "released":
        release = Release.open(layout.release)
        runs = [all_runs.runs[name] for name in names if name in release.runs]
        return release.curves(runs, plan, config)
    runs = trained([all_runs.runs[name] for name in names], plan, layout)
    if not runs:
        raise UserError(f"{layout.branch('').parent} has no whole run yet: train some, or take measured branches")
    return assemble(runs, plan, layout)
