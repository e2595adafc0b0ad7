"""CPT as a slide between two loss surfaces of D_pt, with a forward and an annealing view (Fig. 4)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cpt_dynamics.figures.kit import style
from cpt_dynamics.figures.kit.slide import AnnealingView, ForwardView, Surface, Views

SHIFTED: style.Look = {"color": style.ORANGE, "ls": "-."}
PATHS: dict[str, tuple[str, style.Look]] = {
    "pretraining": ("PT", style.PRETRAINING),
    "hidden": ("PT continued on $D_\\mathrm{pt}$ (hidden)", {"color": style.BLACK, "ls": ":"}),
    "continual": ("CPT", style.CONTINUAL),
}
SURFACES = {"hidden": "PT surface", "shifted": "shifted surface (limit)"}
NO_LIMIT = "shifted surface (far CPT)"  # where the limit is too far to draw
LOOKS = {"hidden": style.HIDDEN, "shifted": SHIFTED}
POTENTIALS = (":", "--", "-")  # from the lowest on
TRANSFER: style.Look = {**style.DOTS, "ms": 4.5, "color": style.BLACK, "zorder": 4}
VIEW = {"elev": 20, "azim": -52}


def loss_surface(views: Views, validation: str, is_limit: bool = True) -> tuple[Figure, pd.DataFrame]:
    """Both surfaces with one run across them; loss against S1 at a constant LR; loss against S2 by loss potential.

    is_limit: whether the upper surface is the limit of the shift for endless CPT.
    """
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 3.2), layout="constrained")
        style.pads(figure)
        grid = figure.add_gridspec(1, 3, width_ratios=[1.5, 1, 1])
        solid = figure.add_subplot(grid[0], projection="3d")
        forward, annealing = (figure.add_subplot(grid[j]) for j in (1, 2))
        handles: dict[str, Artist] = {}
        tables = [
            *_solid(solid, views.surface, handles),
            *_forward(forward, views.forward, handles),
            *_annealing(annealing, views.annealing, handles),
        ]
        forward.set_ylabel(style.loss_label("general", validation))
        for ax, letter in zip((solid, forward, annealing), "abc", strict=True):
            ax.set_title(f"({letter})", loc="left", pad=3, **style.LETTER)
        if not is_limit:
            handles = {NO_LIMIT if text == SURFACES["shifted"] else text: line for text, line in handles.items()}
        style.legend_below(figure, handles, columns=3)
    return figure, pd.concat(tables, ignore_index=True)


def _solid(ax: Any, surface: Surface, handles: dict[str, Artist]) -> list[pd.DataFrame]:
    """The two surfaces over (S1, S2), and pre-training and CPT as a path on and between them."""
    s1, s2 = np.array(surface.s1), np.array(surface.s2)
    tables = []
    for name, text in SURFACES.items():
        loss = np.array(getattr(surface, name))
        ax.plot_surface(
            *np.meshgrid(s1, s2), loss, color=LOOKS[name]["color"], alpha=0.22, lw=0.2, edgecolor="white", shade=False
        )
        tables += [style.long("surface", text, "", s1, row).assign(s2=at) for at, row in zip(s2, loss, strict=True)]
    for name, (text, look) in PATHS.items():
        run = getattr(surface.run, name)
        (handles[text],) = ax.plot(run.s1, run.s2, run.loss, lw=1.6, zorder=10, **look)
        tables.append(style.long("surface", text, "", run.s1, run.loss).assign(s2=run.s2))
    start = surface.run.continual
    ax.plot(start.s1[:1], start.s2[:1], start.loss[:1], **{**TRANSFER, "zorder": 11})
    ax.view_init(**VIEW)
    ax.set_box_aspect((1.25, 1, 0.95), zoom=0.98)
    ax.set_title(r"$D_\mathrm{pt}$ loss")
    ax.set_xlabel("$S_1$", labelpad=-6)
    ax.set_ylabel("$S_2$", labelpad=-4)
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_major_locator(MaxNLocator(4))
    ax.tick_params(pad=-2)
    return tables


def _lines(
    ax: Axes, panel: str, x: list[float], view: ForwardView | AnnealingView, handles: dict[str, Artist]
) -> list[pd.DataFrame]:
    """Cuts through both surfaces."""
    tables = []
    for name, text in SURFACES.items():
        (handles[text],) = ax.plot(x, getattr(view, name), **LOOKS[name])
        tables.append(style.long(panel, text, "", x, getattr(view, name)))
    return tables


def _forward(ax: Axes, view: ForwardView, handles: dict[str, Artist]) -> list[pd.DataFrame]:
    tables = _lines(ax, "forward", view.s1, view, handles)
    for run in view.runs:
        (handles["CPT"],) = ax.plot(run.s1, run.loss, **style.CONTINUAL)
        (handles["transfer"],) = ax.plot(run.s1[:1], run.loss[:1], **TRANSFER)
        tables.append(style.long("forward", "CPT", f"transfer at {run.transfer}", run.s1, run.loss))
    ax.set_xlabel("forward area $S_1$")
    ax.set_title("forward view")
    return tables


def _annealing(ax: Axes, view: AnnealingView, handles: dict[str, Artist]) -> list[pd.DataFrame]:
    tables = _lines(ax, "annealing", view.s2, view, handles)
    for run, dashes in zip(view.runs, POTENTIALS, strict=False):
        name = f"CPT, loss potential {100 * run.potential:.0f} %"
        (handles[name],) = ax.plot(run.s2, run.loss, **{**style.CONTINUAL, "ls": dashes, "lw": 1.5})
        ax.plot(run.s2[:1], run.loss[:1], **TRANSFER)
        tables.append(style.long("annealing", name, "", run.s2, run.loss))
    ax.set_xlabel("annealing area $S_2$")
    ax.set_title("annealing view")
    return tables
