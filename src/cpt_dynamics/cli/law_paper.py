"""law-paper: the paper of its own on the square-root noise law, from the results of a benchmark."""

import argparse
import sys
from pathlib import Path

from cpt_dynamics.leaderboard import fits, results, splits
from cpt_dynamics.report.document import compile
from cpt_dynamics.report.law_paper import document


def add_law_paper(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--benchmark",
        type=Path,
        default=Path("results/benchmark/results.json"),
        metavar="FILE",
        help="what `cpt-dynamics benchmark --out` wrote (default: results/benchmark/results.json)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("results/law-paper"), metavar="FOLDER", help="default: results/law-paper"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--fits", action="store_true", help="fit the law to every split, and nothing else")
    what.add_argument("--sources", action="store_true", help="write the LaTeX sources, compile nothing")
    what.add_argument("--pdf", action="store_true", help="compile the sources that are there")


def run_law_paper(options: argparse.Namespace) -> None:
    every = not (options.fits or options.sources or options.pdf)
    path = options.out / "fits.json"
    if every or options.fits:
        measured, stated = results.read(options.benchmark), splits.load()
        results.check_version(measured, options.benchmark, stated)
        made = []
        for one in fits.fits(stated.each(), measured.sets):
            made.append(one)
            print(f"{len(made)}: {one.split}", file=sys.stderr, flush=True)
        fits.write(path, made, stated.version)
        print(f"fits in {path}")
    if every or options.sources:
        document.write(results.read(options.benchmark), fits.read(path), options.out)
        print(f"sources of the paper in {options.out}")
    if every or options.pdf:
        print(f"paper in {compile(options.out, document.DATE, 'law')}")
