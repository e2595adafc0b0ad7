"""release: a folder of released curves, and what the fits of them gave."""

import argparse
import sys
from pathlib import Path
from typing import Any

from cpt_dynamics import __version__, experiments
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.config import Config
from cpt_dynamics.curves import releasing, trials
from cpt_dynamics.curves.released import CONTENTS, RESULTS, Release
from cpt_dynamics.curves.releasing import Part
from cpt_dynamics.errors import UserError, printable
from cpt_dynamics.figures.kit.origin import origin
from cpt_dynamics.layout import Layout
from cpt_dynamics.report.agreement.results import figures, scale_results
from cpt_dynamics.report.material import Material


def add_release(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="folder to write (default: `<released>/<scale>` of the configuration)",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--results",
        action="store_true",
        help=f"write {RESULTS} only, from fits of the curves that are released in that folder",
    )
    what.add_argument(
        "--describe",
        action="store_true",
        help="write the page and the metadata of that folder anew, all data as they are",
    )


def run_release(options: argparse.Namespace) -> None:
    config = load_config(options)
    folder = (options.out or Layout(config).release).resolve()
    if options.describe:
        return _say(releasing.describe(Release.open(folder)), folder)
    if not options.results:
        _write_curves(folder, config)
    release = Release.open(folder)
    contents = release.contents
    try:
        found = results(release, config)
    except UserError as error:
        if options.results:
            raise
        print(f"released without {RESULTS}: {error}; then `cpt-dynamics release --results` adds it", file=sys.stderr)
    else:
        contents = releasing.add_results(release, found)
    _say(contents, folder)


def _say(contents: dict[str, Any], folder: Path) -> None:
    size = sum(file["bytes"] for file in contents["files"].values())
    print(f"{printable(contents['name'])}: {len(Release.open(folder).runs)} runs, {size / 1e6:.1f} MB")
    print(folder / CONTENTS)


def _write_curves(folder: Path, config: Config) -> None:
    all_runs = experiments.load(config)
    parts = [Part(experiments.plan(all_runs.runs.values(), config), [all_runs.runs[n] for n in all_runs.chosen(None)])]
    plan = None
    if trials.FIGURE in all_runs.figures:
        plan = trials.plan_path(config)
        tried = [trials.trials(knob, all_runs, config) for knob in trials.KNOBS]
        parts += [Part(one.plan, one.runs, one.knob) for one in tried]
    releasing.write(folder, parts, config, plan)


def results(release: Release, config: Config) -> dict[str, object]:
    """What the fits of a scale gave; `UserError` unless all are there and made from the curves of the release."""
    material = Material(config)
    all_runs = material.experiments
    plan = experiments.plan(all_runs.runs.values(), config)
    for figure in figures(all_runs):
        path = material.layout.fit(figure)
        if not path.is_file():
            raise UserError(f"{path} does not exist: make it (`snakemake fits`)")
        curves, schedules = release.curves([all_runs.runs[name] for name in all_runs.runs_of(figure)], plan, config)
        if material.of_figure(figure).made_from != origin(figure, curves, schedules, config, all_runs):
            raise UserError(
                f"{path} was made from other curves or settings than {release.folder}: make it again"
                f" (`snakemake --cores 1 --force {path}`)"
            )
    found = scale_results(material.results, material.verdicts, config, __version__)
    return found.model_dump(mode="json", by_alias=True, exclude={"curves"})
