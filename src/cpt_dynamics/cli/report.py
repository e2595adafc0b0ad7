"""report: tables, LaTeX sources and PDF of a scale."""

import argparse

from cpt_dynamics.cli.options import add_config, load_config
from cpt_dynamics.report import document, tables
from cpt_dynamics.report.material import Material


def add_report(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--table", metavar="TABLE", help="write this table only, e.g. table1")
    what.add_argument("--sources", action="store_true", help="write the LaTeX sources, compile nothing")
    what.add_argument("--pdf", action="store_true", help="compile the sources that are there")


def run_report(options: argparse.Namespace) -> None:
    material = Material(load_config(options))
    if options.table:
        print(f"{options.table} in {' and '.join(map(str, tables.write(options.table, material)))}")
        return
    if not (options.sources or options.pdf):
        for table in tables.available(material.experiments):
            tables.write(table, material)
    if not options.pdf:
        print(f"sources of the report in {document.write(material)}")
    if not options.sources:
        print(f"report in {document.compile(material.layout.report, material.finished)}")
