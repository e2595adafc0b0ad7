"""agreement: how far the results of a scale agree with those of others that are released."""

import argparse
from collections.abc import Mapping
from typing import Any

import pandas as pd

from cpt_dynamics import __version__, plots
from cpt_dynamics.analysis import agreement, scale_results
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import atomic, write_json
from cpt_dynamics.layout import Layout
from cpt_dynamics.plots import agreement as drawing
from cpt_dynamics.reporting.material import Material


def add_agreement(parser: argparse.ArgumentParser) -> None:
    add_config(parser)


def run_agreement(options: argparse.Namespace) -> None:
    config = load_config(options)
    folders = scale_results.others(config)
    if not folders:
        raise UserError(scale_results.alone(config))
    material, layout = Material(config), Layout(config)
    results = {figure: material.result(figure) for figure in scale_results.figures(material.experiments)}
    mine = scale_results.scale_results(results, material.findings, config, __version__)
    others = {folder.name: scale_results.read(folder) for folder in folders}
    found = agreement.agreement(config.scale, {config.scale: mine, **others})
    write_json(layout.agreement, found)
    with atomic(layout.agreement.with_suffix(".csv")) as temporary:
        pd.DataFrame(agreement.table(found)).to_csv(temporary, index=False, lineterminator="\n")
    figure, numbers = drawing.draw(found)
    plots.save(figure, numbers, layout.figure("agreement").parent, "agreement")
    print("\n".join(lines(found)))
    print(f"in {layout.agreement}, {layout.agreement.with_suffix('.csv')} and {layout.figure('agreement')}")


def lines(found: Mapping[str, Any]) -> list[str]:
    """One line for each other scale."""
    return [
        f"{found['scale']} and {other}: {n['same']} of {n['compared']} verdicts are the same, {n['differ']} differ"
        f" (not compared: {n['not_compared']})"
        for other, n in found["counts"].items()
    ]
