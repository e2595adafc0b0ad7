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
    command = ["snakemake", "--dry-run", "--nocolor", "--cores", "1", *([options.target] if options.target else [])]
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
    for rule, wildcards, reason in jobs:
        print(f"{rule}{f' ({wildcards})' if wildcards else ''}: {reason}")
    print(f"{len(jobs)} jobs would run" if jobs else "nothing would run: everything is up to date")
    return 0


def reasons(printed: str) -> list[tuple[str, str, str]]:
    """(rule, wildcards, reason) of every job in the output of a dry run."""
    jobs = []
    for block in re.split(r"\n(?=(?:local)?rule )", printed):
        head = re.match(r"(?:local)?rule (\w+):", block)
        reason = re.search(r"^ +reason: (.*)$", block, re.MULTILINE)
        if head and reason:
            wildcards = re.search(r"^ +wildcards: (.*)$", block, re.MULTILINE)
            jobs.append((head[1], wildcards[1] if wildcards else "", reason[1]))
    return jobs
