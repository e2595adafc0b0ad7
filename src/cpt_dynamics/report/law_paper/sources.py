"""Which files the paper on the noise law is made of. It imports little, since every `snakemake` reads it."""

from pathlib import Path

from cpt_dynamics.report.document import PAPER

COPIED = (PAPER / "law/law.tex", PAPER / "preamble.sty", PAPER / "references.bib")
GENERATED = ("macros", "comparison", "fits", "worst", "boards", "board_figures")
FIGURES = ("law.pdf", "boards.pdf")


def sources(folder: Path) -> list[Path]:
    """Files that `write` makes, and that the PDF is made from."""
    return [
        *(folder / path.name for path in COPIED),
        *(folder / "generated" / f"{part}.tex" for part in GENERATED),
        *(folder / "figures" / name for name in FIGURES),
    ]
