"""Figures of the paper on the noise law: what the law says, and the boards."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from cpt_dynamics.areas import history
from cpt_dynamics.figures.kit import style
from cpt_dynamics.figures.kit.saving import NO_PDF_METADATA
from cpt_dynamics.files import atomic
from cpt_dynamics.laws.base import HISTORY
from cpt_dynamics.laws.noise import noise
from cpt_dynamics.leaderboard import board
from cpt_dynamics.leaderboard.fits import HALF_WAY, SplitFit
from cpt_dynamics.leaderboard.scores import Score
from cpt_dynamics.schedules import Array

POINTS = 400
DECAY = 0.8  # share of the steps after which WSD falls
LOOKS = {"WSD": style.CONTINUAL, "cosine": style.LAW}


def law(fit: SplitFit) -> tuple[Figure, pd.DataFrame]:
    """V under two schedules, the kernel, and the root, with the fitted rate at the highest LR and length of a fit."""
    figure, axes = style.grid(3, 2.3, [1.0], share_rows=False)
    (variance, kernel, root), parts = axes[0], []
    for name, lr in schedules(fit.steps).items():
        at = np.linspace(1, fit.steps, POINTS).astype(int)
        relative, value = lr[at - 1], spread(fit, lr, at)
        variance.plot(at, relative, color=LOOKS[name]["color"], ls=":")
        variance.plot(at, value, **LOOKS[name], label=name)
        root.plot(at, np.sqrt(value), **LOOKS[name], label=name)
        for panel, series, y in (("a", "LR", relative), ("a", "V", value), ("c", "root of V", np.sqrt(value))):
            parts.append(style.long(panel, f"{series}, {name}", "", at, y))
    spent = np.geomspace(1e-2, 1e4, POINTS)
    for name, y, look in (
        ("many rates", 1 - (1 + spent) ** -0.5, style.LAW),
        ("one rate", 1 - np.exp(-np.log(2) * spent / HALF_WAY), style.RIVAL),
    ):
        kernel.plot(spent, y, label=name, **look)
        parts.append(style.long("b", name, "", spent, y))
    for ax, title in ((variance, "$V$ and LR (dotted) / peak LR"), (root, r"$\sqrt{V\,/\,\mathrm{peak\ LR}}$")):
        style.steps_axis(ax, fit.steps)
        ax.set_ylabel(title)
        ax.legend(loc="lower left")
    kernel.set_xscale("log")
    kernel.set_xlabel("$c\\,S$")
    kernel.set_ylabel("share of a change followed")
    kernel.legend(loc="lower right")
    style.panel_letters(axes)
    return figure, pd.concat(parts, ignore_index=True)


def schedules(steps: int) -> dict[str, Array]:
    """LRs without a warm-up, in units of the peak, [steps]."""
    progress = np.arange(1, steps + 1) / steps
    return {"WSD": np.minimum(1.0, (1 - progress) / (1 - DECAY)), "cosine": (1 + np.cos(np.pi * progress)) / 2}


def spread(fit: SplitFit, lr: Array, at: Array) -> Array:
    """V at some steps, by the law's own term, in units of the peak LR."""
    past = history(fit.lr * lr, len(lr), warmup_steps=0)
    rows = np.empty(len(at), dtype=object)
    rows[:] = [past] * len(at)
    x = {HISTORY: rows, "step": at}
    return np.asarray(noise().variance({"c": fit.parameters["c"], "q": 0.5}, x) / fit.lr)


def boards(scores: Sequence[Score], path: Path) -> None:
    """The errors of every entry and run, a page a set."""
    with style.context(), atomic(path) as temporary, PdfPages(temporary, metadata=NO_PDF_METADATA) as pages:
        for name in dict.fromkeys(one.set for one in scores):
            pages.savefig(board.draw([one for one in scores if one.set == name]))
