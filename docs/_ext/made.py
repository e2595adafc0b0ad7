"""Parts of the pages that are made from the kit itself: a line `<!-- made: figures -->` stands for the list of figures.

A page can thus not name a command, figure, law or bound that is not there.
"""

import contextlib
import io
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import get_args, get_origin

from pydantic import BaseModel
from sphinx.application import Sphinx
from sphinx.errors import SphinxError

from cpt_dynamics import claims as claims_file
from cpt_dynamics import cli, experiments, laws
from cpt_dynamics import config as configuration
from cpt_dynamics import figures as figures_
from cpt_dynamics.config import Model, PretrainedModel
from cpt_dynamics.experiments import estimates
from cpt_dynamics.figures.kit.result import FigureResult
from cpt_dynamics.report import TABLES

ROOT = Path(__file__).resolve().parents[2]
MARK = re.compile(r"^<!-- made: (\w+) -->$", re.MULTILINE)
LINK = re.compile(r"\[([^]]+)\]\(([^)\s#]+)(#[^)]*)?\)")
COLUMNS = "100"  # of the help texts


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def words(arguments: Sequence[str]) -> str:
    """What `cpt-dynamics` prints with these arguments, which end in `--help`."""
    printed = io.StringIO()
    width = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = COLUMNS
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            cli.main(arguments)
    finally:
        os.environ.pop("COLUMNS") if width is None else os.environ.update(COLUMNS=width)
    return printed.getvalue()


def commands() -> str:
    """One section a command, with its help and that of its parts."""
    sections = [_section([])]
    for name in cli.COMMANDS:
        sections += [_section([name]), *(_section([name, part]) for part in subcommands(words([name, "--help"])))]
    return "\n\n".join(sections)


def _section(command: Sequence[str]) -> str:
    head = "###" if len(command) > 1 else "##"
    return f"{head} {' '.join(command) or 'cpt-dynamics'}\n\n```text\n{words([*command, '--help']).rstrip()}\n```"


def subcommands(text: str) -> list[str]:
    """The parts of a command (`bench training`), read from its help."""
    if not re.search(r"^usage: .* WHAT \.\.\.$", text, re.MULTILINE):
        return []
    listed = text.partition("\n  WHAT\n")[2].partition("\n\n")[0]
    return re.findall(r"^    (\w[\w-]*)\b", listed, re.MULTILINE)


def figures() -> str:
    """One row a figure: its rule, what it shows, and from what it is made."""
    entries = experiments.load(configuration.load([])).figures
    kinds = {"none": "", "public": "public curves", "delphi": "public curves", "runs": ""}
    rows = []
    for name, entry in entries.items():
        parts = [kinds[entry.curves]] if kinds[entry.curves] else []
        if entry.runs or entry.heldout:
            held = f", {len(entry.heldout)} of them held out" if entry.heldout else ""
            parts.append(f"{len({*entry.runs, *entry.heldout})} runs{held}")
        if entry.needs:
            parts.append("fits of " + ", ".join(f"`{other}`" for other in entry.needs))
        rows.append([f"`{name}`", entry.title, "; ".join(parts) or "the paper's printed coefficients"])
    return table(["rule", "shows", "made from"], rows)


def tables() -> str:
    """Names of the tables that a report may have."""
    return ", ".join(f"`{name}`" for name in TABLES)


def claims() -> str:
    """A part for each finding of the paper, in it each claim with its criteria and bounds."""
    found = {name: one for name, one in claims_file.load().claims.items() if one.shown_in is None}
    parts = []
    for number in sorted({claim.finding for claim in found.values()}, key=lambda number: number or 99):
        parts.append(f"### Finding {number}" if number else "### Questions that the paper leaves open")
        for name, claim in found.items():
            if claim.finding == number:
                criteria = [f"  - {one.says}: {_bounds(one)}" for one in claim.criteria.values()]
                parts.append("\n".join([f"- `{name}`: {claim.text}", *criteria]))
    return "\n\n".join(parts)


def _bounds(criterion: claims_file.Criterion) -> str:
    if criterion.is_ is not None:
        return "is true" if criterion.is_ else "is not true"
    limits = {"above": criterion.above, "below": criterion.below}
    return " and ".join(f"{word} {limit:g}" for word, limit in limits.items() if limit is not None)


def results() -> str:
    """A part a figure: every key of its result that is explained, `*` standing for keys of a mapping or a list."""
    parts = []
    for figure in figures_.names():
        rows = [[f"`{path}`", text] for path, text in _keys(figures_.result_type(figure), "")]
        parts.append(f"### {figure}\n\n{table(['key', 'what'], rows)}")
    return "\n\n".join(parts)


def _keys(kind: type[BaseModel], above: str) -> Iterable[tuple[str, str]]:
    for name, field in kind.model_fields.items():
        path = f"{above}{field.alias or name}"
        if field.description and name not in FigureResult.model_fields:
            yield path, field.description
        yield from _inside(field.annotation, path)


def _inside(kind: object, path: str) -> Iterable[tuple[str, str]]:
    """Keys of the parts that a type of a field holds."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from _keys(kind, f"{path}.")
    elif get_origin(kind) in (dict, list, tuple):
        yield from _inside(get_args(kind)[-1 if get_origin(kind) is dict else 0], f"{path}.*")
    else:
        for one in get_args(kind):
            yield from _inside(one, path)


def law_list() -> str:
    """One row a law: its source and formula."""
    rows = [[f"`{law.name}`", law.source, f"`{law.formula()}`"] for law in laws.LAWS.values()]
    return table(["law", "source", "formula"], rows)


def scales() -> str:
    """One row a scale of the kit: its file, models, lengths, what it trains, and what that is estimated to cost."""
    rows = []
    for file in [None, *sorted(Path("config/scales").glob("*.yaml"))]:
        config = configuration.load([] if file is None else [file])
        chosen = experiments.load(config)
        names = chosen.chosen(None)
        branches = experiments.plan(chosen.runs.values(), config).needed(names)
        total = estimates.total(estimates.estimate(branch, config) for branch in branches)
        rows.append(
            [
                f"`{config.scale}`",
                f"`{file or configuration.DEFAULT}`",
                ", ".join(_size(model) for model in config.models.values()),
                f"{config.lengths.pretraining:,} + {config.lengths.continual:,}",
                f"{len(names)} runs in {len(branches)} branches",
                f"{sum(branch.steps for branch in branches):,} steps, {estimates.scaled(total.tokens)} tokens",
                f"{total.flops:.1e} FLOPs, {estimates.duration(total.device_hours)} at {config.estimates.teraflops:g}"
                f" Tflop/s, checkpoints {estimates.scaled(total.disk_bytes)}B",
            ]
        )
    head = ["scale", "file", "models (layers x width)", "steps of PT + CPT", "runs", "trained in all", "estimate"]
    return table(head, rows)


def costs() -> str:
    """One row a figure that is made from runs: what it costs alone at the scale `paper`, with the fits it needs."""
    config = configuration.load(["config/scales/paper.yaml"])
    chosen = experiments.load(config)
    plan = experiments.plan(chosen.runs.values(), config)
    rows = []
    for figure in chosen.figures:
        branches = plan.needed(chosen.chosen([figure]))
        if not branches:
            continue
        found = [estimates.estimate(branch, config) for branch in branches]
        total = estimates.total(found)
        rows.append(
            [
                f"`{figure}`",
                str(len(branches)),
                estimates.scaled(total.tokens).strip(),
                f"{total.flops:.1e}",
                estimates.duration(total.device_hours),
                estimates.duration(max(one.minutes for one in found) / 60),
                f"{estimates.scaled(total.disk_bytes)}B",
            ]
        )
    return table(["rule", "branches", "tokens", "FLOPs", "device time", "longest branch", "checkpoints"], rows)


def _size(model: Model | PretrainedModel) -> str:
    return f"{model.layers} x {model.width}" if isinstance(model, Model) else model.pretrained


PARTS: dict[str, Callable[[], str]] = {
    "claims": claims,
    "commands": commands,
    "costs": costs,
    "figures": figures,
    "laws": law_list,
    "results": results,
    "scales": scales,
    "tables": tables,
}


def filled(text: str) -> str:
    """A page with its parts put in; an unknown part raises `SphinxError`."""

    def part(match: re.Match[str]) -> str:
        if match[1] not in PARTS:
            raise SphinxError(f"there is no part {match[1]!r}: choose one of {', '.join(PARTS)}")
        with contextlib.chdir(ROOT):
            return PARTS[match[1]]()

    return MARK.sub(part, text)


def relinked(text: str, folder: Path, page: Path) -> str:
    """An included file's links as seen from `page`; a folder, which a site cannot show, keeps its text alone."""

    def link(match: re.Match[str]) -> str:
        words, target, anchor = match[1], match[2], match[3] or ""
        if "://" in target:
            return match[0]
        path = (folder / target).resolve()
        if path.is_dir():
            return words
        return f"[{words}]({os.path.relpath(path, page.parent)}{anchor})"

    return LINK.sub(link, text)


def _read(app: Sphinx, page: str, source: list[str]) -> None:
    source[0] = filled(source[0])


def _included(app: Sphinx, file: Path, page: str, source: list[str]) -> None:
    source[0] = relinked(source[0], Path(app.srcdir, file).resolve().parent, Path(app.srcdir, page).resolve())


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", _read)
    app.connect("include-read", _included)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
