"""agreement: how far the results of a scale agree with those of others that are released."""

import argparse

from cpt_dynamics import __version__
from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.kit.saving import save
from cpt_dynamics.files import atomic, write_json
from cpt_dynamics.layout import Layout
from cpt_dynamics.report.agreement import Agreement, agreement, others
from cpt_dynamics.report.agreement.compare import table
from cpt_dynamics.report.agreement.draw import draw
from cpt_dynamics.report.agreement.results import alone, read, scale_results
from cpt_dynamics.report.material import Material


def add_agreement(parser: argparse.ArgumentParser) -> None:
    add_config(parser)


def run_agreement(options: argparse.Namespace) -> None:
    config = load_config(options)
    folders = others(config)
    if not folders:
        raise UserError(alone(config))
    material, layout = Material(config), Layout(config)
    mine = scale_results(material.results, material.verdicts, config, __version__)
    found = agreement(config.scale, {config.scale: mine, **{folder.name: read(folder) for folder in folders}})
    write_json(layout.agreement, found.model_dump(mode="json", by_alias=True))
    with atomic(layout.agreement.with_suffix(".csv")) as temporary:
        table(found).to_csv(temporary, index=False, lineterminator="\n")
    figure, numbers = draw(found)
    save(figure, numbers, layout.figure("agreement").parent, "agreement")
    print("\n".join(lines(found)))
    print(f"in {layout.agreement}, {layout.agreement.with_suffix('.csv')} and {layout.figure('agreement')}")


def lines(found: Agreement) -> list[str]:
    """One line for each other scale."""
    return [
        f"{found.scale} and {other}: {n.same} of {n.compared} verdicts are the same, {n.differ} differ"
        f" (not compared: {n.not_compared})"
        for other, n in found.counts.items()
    ]
