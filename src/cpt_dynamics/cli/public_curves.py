"""public-curves: fetch the public curves."""

import argparse
from pathlib import Path

from cpt_dynamics.curves.public import FETCHED, SETS
from cpt_dynamics.errors import UserError


def add_public_curves(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        dest="sets",
        nargs="+",
        choices=list(SETS),
        metavar="NAME",
        help=f"which of {', '.join(SETS)} (default: all; with --to the first)",
    )
    parser.add_argument("--to", metavar="FOLDER", help="where one set is put (default: its folder in data/public)")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="FOLDER",
        help="copy from a folder that has them (default: CPT_DYNAMICS_PUBLIC_CURVES, or their public home)",
    )


def run_public_curves(options: argparse.Namespace) -> None:
    names = options.sets or (list(SETS)[:1] if options.to else list(SETS))
    if options.to and len(names) > 1:
        raise UserError(f"--to {options.to} holds one set: name one after --set")
    for name in names:
        target = Path(options.to) if options.to else FETCHED / SETS[name].folder
        print(SETS[name].fetch(target, options.source), flush=True)
