"""summary: summary.json of a scale."""

import argparse

from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.files import write_json
from cpt_dynamics.report.material import Material
from cpt_dynamics.report.summary import summary


def add_summary(parser: argparse.ArgumentParser) -> None:
    add_config(parser)


def run_summary(options: argparse.Namespace) -> None:
    material = Material(load_config(options))
    write_json(material.layout.summary, summary(material))
    checks = [one for figure in material.figures for one in material.checks(figure)]
    held = sum(one.holds for one in checks)
    print(f"{material.config.scale}: {held} of {len(checks)} checks hold, in {material.layout.summary}")
