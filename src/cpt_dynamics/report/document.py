"""The report: sources copied from paper/, generated parts beside them, and the PDF."""

import os
import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

from cpt_dynamics.claims.verdicts import word
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Experiments
from cpt_dynamics.figures.kit.latex import escape
from cpt_dynamics.files import atomic
from cpt_dynamics.layout import Layout
from cpt_dynamics.report import macros, tables, verdicts
from cpt_dynamics.report.agreement import others, text
from cpt_dynamics.report.material import Material
from cpt_dynamics.report.templates import TEMPLATES, render

PAPER = Path("paper")
INSTALL = (
    "install tectonic, or latexmk with texlive-latex-recommended, texlive-latex-extra,"
    " texlive-fonts-recommended and lmodern"
)
# Generated part -> `section` of its figures.
SECTIONS = {"results": "runs", "printed": "none", "public": "public", "delphi": "delphi"}
RULES = Path("workflow/rules/figures.smk")  # where each figure has a rule of its own
NO_TEX = f"no TeX is found (latexmk or tectonic), so the report is written without its PDF: {INSTALL}"


def paper_sources() -> list[Path]:
    """The files of paper/ that are copied into the report."""
    found = sorted(p for p in PAPER.glob("*") if p.suffix in (".tex", ".bib", ".sty"))
    if PAPER / "report.tex" not in found:
        raise UserError(f"{PAPER / 'report.tex'} does not exist: run in the repository's root")
    return found


def templates() -> list[Path]:
    """The templates that the generated parts are made from."""
    return sorted(TEMPLATES.glob("*.tex"))


def sources(config: Config, experiments: Experiments) -> list[Path]:
    """Files that `write` makes in the folder of the report."""
    folder = Layout(config).report
    generated = ["macros", "verdicts", "criteria", "overview", *SECTIONS, *tables.available(experiments)]
    compared = [text.FIGURE] if others(config) else []
    return [
        *(folder / path.name for path in paper_sources()),
        *(folder / "generated" / f"{part}.tex" for part in [*generated, *compared]),
        *(folder / "figures" / f"{figure}.pdf" for figure in [*experiments.shown, *compared]),
    ]


def write(material: Material) -> Path:
    """Write all sources of the report from figures, tables and fits that exist; returns the folder."""
    layout = material.layout
    folder = layout.report
    for path in paper_sources():
        _write(folder / path.name, path.read_text(encoding="utf-8"))
    found = macros.macros(material)
    _write(folder / "generated/macros.tex", macros.as_latex(found, material.figures))
    _write(folder / "generated/verdicts.tex", verdicts.verdicts(material))
    _write(folder / "generated/criteria.tex", verdicts.criteria(material))
    _write(folder / "generated/overview.tex", overview(material))
    for section, kind in SECTIONS.items():
        _write(folder / f"generated/{section}.tex", figures(material, kind))
    for table in tables.available(material.experiments):
        _copy(layout.table(table, "tex"), folder / "generated" / f"{table}.tex")
    for figure in material.figures:
        _copy(layout.figure(figure, "pdf"), folder / "figures" / f"{figure}.pdf")
    if material.agreement:
        _write(folder / "generated/agreement.tex", text.section(material.agreement))
        _copy(layout.figure(text.FIGURE), folder / "figures" / f"{text.FIGURE}.pdf")
    return folder


def overview(material: Material) -> str:
    """One row a figure: how many checks hold, and the verdict."""
    rows = [
        {
            "figure": figure,
            "name": material.names[figure],
            "title": escape(material.experiments.figures[figure].title),
            "checks": checks,
            "held": sum(one.holds for one in checks),
            "word": word(checks) if checks else "is not checked",
        }
        for figure in material.figures
        for checks in [material.checks(figure)]
    ]
    return render("overview", figures=rows)


def figures(material: Material, kind: str) -> str:
    """One subsection for each figure that is made from runs, from nothing but print, or from public curves."""
    return "\n".join(_figure(figure, material) for figure in material.figures if material.section(figure) == kind)


def _figure(figure: str, material: Material) -> str:
    layout, checks = material.layout, material.checks(figure)
    data = layout.figure(figure, "csv")
    return render(
        "figure",
        figure=figure,
        name=material.names[figure],
        title=escape(material.experiments.figures[figure].title),
        text=material.text(figure),
        checks=[[*(cell.latex for cell in verdicts.cells(one)), verdicts.held(one)] for one in checks],
        held=sum(one.holds for one in checks),
        word=word(checks) if checks else "",
        data=os.path.relpath(data, layout.report),
        shown=escape(data.relative_to(layout.root).as_posix()),
        command=_command(figure, layout),
    )


def _command(figure: str, layout: Layout) -> str:
    """The command that makes a figure, linked to its rule where results lie in the repository."""
    shown = f"snakemake {escape(figure)}"
    if layout.report.is_absolute():
        return rf"\texttt{{{shown}}}"
    return rf"\datafile{{{os.path.relpath(RULES, layout.report)}}}{{{shown}}}"


def _write(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise UserError(f"{source} does not exist: make it first (`snakemake {source}`)")
    with atomic(target) as temporary:
        shutil.copyfile(source, temporary)


def tex() -> str | None:
    """The TeX that is found: `latexmk`, `tectonic` or None."""
    return next((program for program in ("latexmk", "tectonic") if shutil.which(program)), None)


def compile(folder: Path, finished: str, name: str = "report") -> Path:
    """Compile `<name>.tex` in `folder` to `<name>.pdf`.

    `finished` (ISO 8601) is the date in the PDF, so that the same results give the same bytes. Without TeX,
    or with a mistake in the sources, raises `UserError` with the remedy or the first error of the log.
    """
    program = tex()
    if program is None:
        raise UserError(f"no TeX is found (latexmk or tectonic), so {name}.pdf cannot be made: {INSTALL}")
    build = folder / "build"
    build.mkdir(parents=True, exist_ok=True)
    options = ["-norc", "-pdf", "-interaction=nonstopmode", "-halt-on-error", "-file-line-error"]
    command = {
        "latexmk": ["latexmk", *options, "-outdir=build", f"{name}.tex"],
        "tectonic": ["tectonic", "--keep-logs", "--outdir", "build", f"{name}.tex"],
    }[program]
    epoch = str(int(datetime.fromisoformat(finished).timestamp()))
    environment = os.environ | {"SOURCE_DATE_EPOCH": epoch, "FORCE_SOURCE_DATE": "1", "TZ": "UTC"}
    environment |= {"max_print_line": "10000"}  # so that no message in the log is broken in two
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    log = build / f"{name}.log"
    if done.returncode or not (build / f"{name}.pdf").exists():
        printed = log.read_text(errors="replace") if log.exists() else ""
        error = first_error(printed + done.stdout + done.stderr)
        raise UserError(f"{folder / f'{name}.tex'}: {error} (see {log})")
    pdf = folder / f"{name}.pdf"
    with atomic(pdf) as temporary:
        shutil.copyfile(build / f"{name}.pdf", temporary)
    return pdf


def first_error(log: str) -> str:
    """The first error that TeX reports, on one line."""
    for line in log.splitlines():
        if re.match(r"(! |error: |\S+\.\w+:\d+: )", line):
            return line.removeprefix("! ").removeprefix("error: ").strip()
    return "TeX failed without a message"
