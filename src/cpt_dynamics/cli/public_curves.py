"""public-curves: fetch the public curves."""

import argparse

from cpt_dynamics.curves.public import fetch


def add_public_curves(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", default="data/public/multipowerlaw", metavar="FOLDER", help="where they are put")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="FOLDER",
        help="copy from a folder that has them (default: CPT_DYNAMICS_PUBLIC_CURVES, or their public home)",
    )


def run_public_curves(options: argparse.Namespace) -> None:
    print(fetch(options.to, options.source))
