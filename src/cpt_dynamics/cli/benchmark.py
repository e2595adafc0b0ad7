"""benchmark: every law on frozen splits of public curves and of the kit's own, and the leaderboard of it."""

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from cpt_dynamics import files, laws
from cpt_dynamics.cli.log_options import print_json
from cpt_dynamics.cli.text import bullets, indented, table
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import plain
from cpt_dynamics.leaderboard import board, export, sets
from cpt_dynamics.leaderboard.scores import Rows, Score, scores
from cpt_dynamics.leaderboard.splits import Split, load


def run_benchmark(options: argparse.Namespace) -> None:
    began = time.monotonic()
    splits = load(options.splits)
    chosen = {name: one for name, one in splits.each().items() if not options.set or one.set in options.set}
    if not chosen:
        raise UserError(f"--set: no split is of {' or '.join(options.set)}: see {options.splits}")
    further = [name.strip() for name in (options.laws or "").split(",") if name.strip()]
    for name in further:
        laws.get(name)
    found, absent = _read(dict.fromkeys(one.set for one in chosen.values()), options.set)
    lacking = {name: _lacking(one, found) for name, one in chosen.items()}
    absent |= {name: line for name, line in lacking.items() if line}
    for name, line in absent.items():
        print(f"{name} is left out: {line}", file=sys.stderr)
    there = {name: one for name, one in chosen.items() if not lacking[name]}
    tasks = {name: Rows(one, *sets.of_split(found[one.set], one)) for name, one in there.items()}
    if options.export:
        for name, groups in export.tasks(tasks).items():
            print(export.write(name, groups, options.export, splits.version), flush=True)
        return
    measured = _measured(tasks, further, options)
    rows = board.board(measured)
    digests = {name: one.sha256 for name, one in found.items()}
    seconds = round(time.monotonic() - began, 1), round(_processor_seconds(), 1)
    result = plain(board.to_json(measured, rows, splits.version, digests, *seconds, absent))
    if options.out:
        written = {
            "leaderboard.csv": board.csv(rows),
            "leaderboard.md": board.markdown(rows, splits.version),
            "leaderboard.html": board.page(measured, rows, splits.version, digests),
        }
        files.write_json(options.out / "results.json", result)
        for name, text in written.items():
            with files.atomic(options.out / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
    if options.json:
        print_json(result)
        return
    for name, of_part in board.by_part(rows).items():
        print("\n".join([*indented("", f"{name}; {board.extent(of_part)}"), *table(*board.cells(of_part)), ""]))
    print("\n".join([*indented("", board.LEGEND), *bullets([f"written to {options.out}"] if options.out else [])]))


def _processor_seconds() -> float:
    """Of this process and of those that it waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _read(names: Iterable[str], asked: list[str]) -> tuple[dict[str, sets.Curves], dict[str, str]]:
    """The curves of each set, and why a set that was not asked for by name is left out."""
    found, absent = {}, {}
    for name in names:
        try:
            found[name] = sets.read(name)
        except UserError as error:
            if name in asked:
                raise
            absent[name] = str(error)
    if not found:
        raise UserError("; ".join(absent.values()))
    return found, absent


def _lacking(split: Split, found: Mapping[str, sets.Curves]) -> str:
    """Why a split is left out; "" where it is not."""
    if split.set not in found:
        return f"its set {split.set} is"
    known = set(found[split.set].curves["run"])
    lost = [run for run in (*split.fit, *split.test) if run not in known]
    return f"{len(lost)} of its runs are not there, such as {lost[0]}" if lost else ""


def _measured(tasks: Mapping[str, Rows], further: list[str], options: argparse.Namespace) -> list[Score]:
    """The scores of all splits, in their order, several splits at a time."""
    done: dict[str, list[Score]] = {}
    for name, part in _in_processes(tasks, further, options):
        done[name] = part
        print(f"{len(done)} of {len(tasks)}: {name}", file=sys.stderr, flush=True)
    return [score for name in tasks for score in done[name]]


def _in_processes(
    tasks: Mapping[str, Rows], further: list[str], options: argparse.Namespace
) -> Iterator[tuple[str, list[Score]]]:
    if options.processes == 1:
        for name, rows in tasks.items():
            yield name, scores(name, rows, further)
        return
    with ProcessPoolExecutor(options.processes, initializer=_load, initargs=(options.law_file or [],)) as pool:
        running = {pool.submit(scores, name, rows, further): name for name, rows in tasks.items()}
        for future in as_completed(running):
            yield running[future], future.result()


def _load(law_files: list[str]) -> None:
    for file in law_files:
        laws.load(file)


def add_benchmark(parser: argparse.ArgumentParser) -> None:
    from cpt_dynamics.leaderboard.splits import SPLITS

    parser.add_argument("--set", nargs="+", default=[], metavar="SET", help="only the splits of these sets")
    parser.add_argument("--laws", metavar="NAME,...", help="further laws, beside the kit's for such curves")
    parser.add_argument("--law-file", action="append", metavar="FILE.py", help="laws of your own: a file with LAWS")
    parser.add_argument("--splits", type=Path, default=SPLITS, metavar="FILE", help=f"default: {SPLITS}")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="splits at a time (default: 2)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write results.json, CSV, Markdown and a page there")
    parser.add_argument(
        "--export",
        type=Path,
        metavar="FOLDER",
        help="write the splits as tasks: tables and a baseline law",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
