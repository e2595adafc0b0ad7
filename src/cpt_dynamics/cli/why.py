"""why: what a target would run, and for which changed input."""

import argparse
import re
import shutil
import subprocess
import sys

from cpt_dynamics.cli.options import add_config
from cpt_dynamics.errors import UserError


def add_why(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("target", nargs="?", default=None, help="a rule or file, e.g. fig03 (default: everything)")


def run_why(options: argparse.Namespace) -> int:
    if not shutil.which("snakemake"):
        raise UserError("snakemake is not found: install the `workflow` extra or activate the environment")
    command = [
        "snakemake",
        "--dry-run",
        "--nocolor",
        "--quiet",  # the profile keeps reasons off the screen
        "host",
        "--cores",
        "1",
        *([options.target] if options.target else []),
    ]
    if options.configfile:
        command += ["--configfile", *options.configfile]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    printed = done.stdout + done.stderr
    if done.returncode:
        lines = [line.strip() for line in printed.splitlines() if line.strip()]
        chosen = next((line for line in lines if line.startswith("error:")), lines[-1] if lines else "snakemake failed")
        print(chosen if chosen.startswith("error:") else f"error: {chosen}", file=sys.stderr)
        return 2
    jobs = reasons(printed)
    for job, reason in jobs:
        print(f"{job}: {reason}")
    print(f"{len(jobs)} jobs would run" if jobs else "nothing would run: everything is up to date")
    return 0


def reasons(printed: str) -> list[tuple[str, str]]:
    """(what a job does, why it would run) of every job in the output of a dry run.

    A job that runs only because another one does says just that.
    """
    found = re.findall(r"^Job \d+: (.*)\nReason: (.*)$", printed, re.MULTILINE)
    jobs = []
    for job, reason in found:
        parts = [p for p in reason.split("; ") if not p.startswith("Input files updated by another job")]
        jobs.append((job, "; ".join(_short(part) for part in parts) or "its inputs are made anew"))
    return jobs


def _short(reason: str, most: int = 3) -> str:
    """A reason with at most a few of its files."""
    what, _, files = reason.partition(": ")
    names = files.split(", ")
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{what[0].lower()}{what[1:]}: {', '.join(names[:most])}{more}" if files else f"{what[0].lower()}{what[1:]}"
