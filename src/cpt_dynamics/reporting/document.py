"""The report: sources copied from paper/, generated parts beside them, and the PDF."""

import os
import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

from cpt_dynamics.analysis import scale_results
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Experiments
from cpt_dynamics.figures.kit.latex import escape
from cpt_dynamics.files import atomic
from cpt_dynamics.layout import Layout
from cpt_dynamics.reporting import agreement, findings, macros, tables
from cpt_dynamics.reporting.checks import Check, Claims
from cpt_dynamics.reporting.claims import all_claims, claims, names
from cpt_dynamics.reporting.material import Material

PAPER = Path("paper")
INSTALL = (
    "install tectonic, or latexmk with texlive-latex-recommended, texlive-latex-extra,"
    " texlive-fonts-recommended and lmodern"
)
SECTIONS = {"results": "runs", "printed": "none", "public": "public"}  # generated part -> `section` of its figures
RULES = Path("workflow/rules/figures.smk")  # where each figure has a rule of its own
NO_TEX = f"no TeX is found (latexmk or tectonic), so the report is written without its PDF: {INSTALL}"


def paper_sources() -> list[Path]:
    """The files of paper/ that the report is made from."""
    found = sorted(p for p in PAPER.glob("*") if p.suffix in (".tex", ".bib", ".sty"))
    if PAPER / "report.tex" not in found:
        raise UserError(f"{PAPER / 'report.tex'} does not exist: run in the repository's root")
    return found


def sources(config: Config, experiments: Experiments) -> list[Path]:
    """Files that `write` makes in the folder of the report."""
    folder = Layout(config).report
    generated = ["macros", "verdicts", "criteria", "overview", *SECTIONS, *tables.available(experiments)]
    compared = [agreement.FIGURE] if scale_results.others(config) else []
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
        _write(folder / path.name, path.read_text())
    found = macros.macros(material)
    _write(folder / "generated/macros.tex", macros.as_latex(found, material.figures))
    _write(folder / "generated/verdicts.tex", findings.verdicts(material))
    _write(folder / "generated/criteria.tex", findings.criteria(material))
    _write(folder / "generated/overview.tex", overview(material))
    for section, kind in SECTIONS.items():
        _write(folder / f"generated/{section}.tex", figures(material, kind))
    for table in tables.available(material.experiments):
        _copy(layout.table(table, "tex"), folder / "generated" / f"{table}.tex")
    for figure in material.figures:
        _copy(layout.figure(figure, "pdf"), folder / "figures" / f"{figure}.pdf")
    if material.agreement:
        _write(folder / "generated/agreement.tex", agreement.section(material.agreement))
        _copy(layout.figure(agreement.FIGURE), folder / "figures" / f"{agreement.FIGURE}.pdf")
    return folder


def overview(material: Material) -> str:
    """One row a figure: how many checks hold, and the verdict."""
    rows = []
    for figure, found in all_claims(material).items():
        held = f"{sum(check.holds for check in found.checks)} of {len(found.checks)}"
        title = escape(material.experiments.figures[figure].title)
        called = f"Figure {names(material.figures)[figure]}"
        rows.append(rf"\hyperref[sec:{figure}]{{{called}}} & {title} & {held} & {found.verdict} \\")
    return "\n".join(
        [
            r"\begin{table}[H]\centering",
            r"\caption{Figures of this report, and whether they agree with the paper.}\label{tab:overview}",
            r"\begin{tabular}{@{}l>{\raggedright\arraybackslash}p{0.5\linewidth}ll@{}}",
            r"\toprule",
            r"figure & title & checks held & verdict \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def figures(material: Material, kind: str) -> str:
    """One subsection for each figure that is made from runs, from nothing but print, or from public curves."""
    chosen = [figure for figure in material.figures if material.section(figure) == kind]
    return "\n".join(_figure(figure, claims(figure, material), material) for figure in chosen)


def _figure(figure: str, found: Claims, material: Material) -> str:
    title = escape(material.experiments.figures[figure].title)
    data = os.path.relpath(material.layout.figure(figure, "csv"), material.layout.report)
    shown = material.layout.figure(figure, "csv").relative_to(material.layout.root).as_posix()
    link = rf"\datafile{{{data}}}{{{escape(shown)}}}"
    called = names(material.figures)[figure]
    parts = [found.shows, f"The paper shows {found.paper}" if found.paper else ""]
    if found.checks:
        held = sum(check.holds for check in found.checks)
        parts.append(rf"\textbf{{{held} of {len(found.checks)} checks hold: {found.verdict}.}}")
    caption = " ".join(part for part in parts if part)
    lines = [
        rf"\subsection{{Figure {called}: {title}}}\label{{sec:{figure}}}",
        rf"\paperfigure{{{called}}}",
        r"\begin{figure}[H]\centering",
        rf"\includegraphics[width=\linewidth,height=0.62\textheight,keepaspectratio]{{figures/{figure}.pdf}}",
        rf"\caption{{{caption} Data: {link}. Made by: {_command(figure, material.layout)}.}}\label{{fig:{figure}}}",
        r"\end{figure}",
    ]
    if found.checks:
        lines += _checks(found.checks)
    lines += [" ".join(found.notes), ""]
    return "\n".join(lines)


def _command(figure: str, layout: Layout) -> str:
    """The command that makes a figure, linked to its rule where results lie in the repository."""
    shown = f"snakemake {escape(figure)}"
    if layout.report.is_absolute():
        return rf"\texttt{{{shown}}}"
    return rf"\datafile{{{os.path.relpath(RULES, layout.report)}}}{{{shown}}}"


def _checks(checks: list[Check]) -> list[str]:
    rows = []
    for check in checks:
        cells = [check.claim, check.show(check.value).latex, check.bound.latex, check.printed.latex]
        rows.append(" & ".join([*cells, "yes" if check.holds else r"\textbf{no}"]) + r" \\ \addlinespace[2pt]")
    return [
        r"\begin{center}\small",
        r"\begin{tabular}{@{}>{\raggedright\arraybackslash}p{0.45\linewidth}rlll@{}}",
        r"\toprule",
        r"check & measured & wanted & paper & holds \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{center}",
    ]


def _write(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text)


def _copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise UserError(f"{source} does not exist: make it first (`snakemake {source}`)")
    with atomic(target) as temporary:
        shutil.copyfile(source, temporary)


def tex() -> str | None:
    """The TeX that is found: `latexmk`, `tectonic` or None."""
    return next((program for program in ("latexmk", "tectonic") if shutil.which(program)), None)


def compile(folder: Path, finished: str) -> Path:
    """Compile `report.tex` in `folder` to `report.pdf`.

    `finished` (ISO 8601) is the date in the PDF, so that the same results give the same bytes. Without TeX,
    or with a mistake in the sources, raises `UserError` with the remedy or the first error of the log.
    """
    program = tex()
    if program is None:
        raise UserError(f"no TeX is found (latexmk or tectonic), so report.pdf cannot be made: {INSTALL}")
    build = folder / "build"
    build.mkdir(parents=True, exist_ok=True)
    options = ["-norc", "-pdf", "-interaction=nonstopmode", "-halt-on-error", "-file-line-error"]
    command = {
        "latexmk": ["latexmk", *options, "-outdir=build", "report.tex"],
        "tectonic": ["tectonic", "--keep-logs", "--outdir", "build", "report.tex"],
    }[program]
    epoch = str(int(datetime.fromisoformat(finished).timestamp()))
    environment = os.environ | {"SOURCE_DATE_EPOCH": epoch, "FORCE_SOURCE_DATE": "1", "TZ": "UTC"}
    environment |= {"max_print_line": "10000"}  # so that no message in the log is broken in two
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    log = build / "report.log"
    if done.returncode or not (build / "report.pdf").exists():
        printed = log.read_text(errors="replace") if log.exists() else ""
        error = first_error(printed + done.stdout + done.stderr)
        raise UserError(f"{folder / 'report.tex'}: {error} (see {log})")
    pdf = folder / "report.pdf"
    with atomic(pdf) as temporary:
        shutil.copyfile(build / "report.pdf", temporary)
    return pdf


def first_error(log: str) -> str:
    """The first error that TeX reports, on one line."""
    for line in log.splitlines():
        if re.match(r"(! |error: |\S+\.\w+:\d+: )", line):
            return line.removeprefix("! ").removeprefix("error: ").strip()
    return "TeX failed without a message"
