"""The sources of the paper on the noise law: copied from paper/law/, and generated parts beside them."""

import shutil
from pathlib import Path

from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.kit import style
from cpt_dynamics.figures.kit.saving import save
from cpt_dynamics.files import atomic
from cpt_dynamics.leaderboard.fits import Fits
from cpt_dynamics.leaderboard.results import Results
from cpt_dynamics.leaderboard.uses import tested
from cpt_dynamics.report.law_paper import draw, macros, tables
from cpt_dynamics.report.law_paper.sources import COPIED, GENERATED
from cpt_dynamics.report.macros import checked
from cpt_dynamics.report.templates import render

DATE = "1970-01-01T00:00:00+00:00"  # of the PDF, which states none: the same results give the same bytes


def write(results: Results, fits: Fits, folder: Path) -> Path:
    """Write all sources; returns the folder. `UserError` where no test of the law is in the results."""
    tests = tested(results.scores)
    if not tests or not fits.fits:
        raise UserError("the results have no test of the noise law: run `cpt-dynamics benchmark` on the kit's splits")
    for path in COPIED:
        _copy(path, folder / path.name)
    found = checked(macros.macros(results, fits))
    generated = {
        "macros": render("macros", macros=found, switches=macros.switches(results, fits)),
        "comparison": tables.comparison(tests),
        "fits": tables.fitted(tests, fits),
        "worst": tables.worst(tests),
        "boards": tables.boards(results),
        "board_figures": render("law_boards", sets=results.sets),
    }
    for name in GENERATED:
        with atomic(folder / "generated" / f"{name}.tex") as temporary:
            temporary.write_text(generated[name], encoding="utf-8")
    with style.context():
        figure, table = draw.law(macros.shown(fits))
    save(figure, table, folder / "figures", "law")
    draw.boards(results.scores, folder / "figures/boards.pdf")
    return folder


def _copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise UserError(f"{source} does not exist: run in the repository's root")
    with atomic(target) as temporary:
        shutil.copyfile(source, temporary)
