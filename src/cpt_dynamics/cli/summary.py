"""summary: summary.json of a scale."""

import argparse

from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.files import write_json
from cpt_dynamics.reporting.material import Material
from cpt_dynamics.reporting.summary import summary


def add_summary(parser: argparse.ArgumentParser) -> None:
    add_config(parser)


def run_summary(options: argparse.Namespace) -> None:
    material = Material(load_config(options))
    found = summary(material)
    write_json(material.layout.summary, found)
    held = [check["holds"] for figure in found["checks"].values() for check in figure["list"]]
    print(f"{material.config.scale}: {sum(held)} of {len(held)} checks hold, in {material.layout.summary}")
