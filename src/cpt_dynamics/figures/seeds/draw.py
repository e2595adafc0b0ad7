"""What another seed changes: final losses, the noise along CPT, and the coefficients of Eq. 4."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import style
from cpt_dynamics.figures.seeds.result import Result

SEEDS: tuple[style.Look, ...] = (  # of the seeds, in their order; any further ones begin anew
    {"color": style.BLACK, "marker": "o"},
    {"color": style.ORANGE, "marker": "s"},
    {"color": style.GREEN, "marker": "^"},
    {"color": style.PURPLE, "marker": "v"},
)
SET_COLOURS = {Role.GENERAL: style.BLUE, Role.STRONG: style.VERMILION}
NAMES = {
    "alpha": r"$\alpha$",
    "beta": r"$\beta$",
    "L0": "$L_0$",
    "C1": "$C_1$",
    "C2": "$C_2$",
    "B*beta": r"$B\beta$",
    "B*beta*E": r"$B\beta E$",
}
NOTHING = "no run was trained with several seeds"


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """Above, final losses minus their mean over seeds; below, the noise along CPT and coefficients over their mean."""
    rows = 0.17 * max(len(result.groups), 6)
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 3.0 + rows), layout="constrained")
        style.pads(figure, hspace=0.04)
        spec = figure.add_gridspec(2, 2, height_ratios=[0.6 + rows, 1.7])
        above = [figure.add_subplot(spec[0, j]) for j in range(2)]
        below = [figure.add_subplot(spec[1, j]) for j in range(2)]
        handles: style.Handles = {}
        tables: list[pd.DataFrame] = []
        for ax, (role, validation) in zip(above, result.validations.items(), strict=True):
            tables += _finals(ax, result, role, handles)
            ax.set_title(f"{style.SET_LABELS[role]} ({validation})")
        above[1].tick_params(labelleft=False)
        tables += _along(below[0], result)
        tables += _parameters(below[1], result)
        style.panel_letters(np.array([*above, *below]))
        if handles:
            style.legend_below(figure, handles, columns=len(handles))
    table = pd.concat(tables, ignore_index=True) if tables else style.long("", NOTHING, "", [0.0], [0.0])
    return figure, table


def _finals(ax: Axes, result: Result, role: Role, handles: style.Handles) -> list[pd.DataFrame]:
    """One row for each run: final losses of its seeds, and what Eq. 4 fitted to the first seed says (10^-3 nats)."""
    noise, groups = result.noise[role], list(result.groups)
    if noise is None:
        _empty(ax)
        return []
    tables = []
    handles["seed noise"] = ax.axvspan(-1e3 * noise, 1e3 * noise, color=style.GREY, alpha=0.18, lw=0)
    ax.axvline(0, color=style.GREY, lw=0.6)
    law, final = result.law[role], result.final[result.validations[role]]
    for i, group in enumerate(groups):
        found, y = final[group], len(groups) - 1 - i
        for k, (run, loss) in enumerate(found.losses.items()):
            apart = 1e3 * (loss - found.mean)
            look = {"ls": "", "ms": 3.6, "mew": 0, "alpha": 0.85, **SEEDS[k % len(SEEDS)]}
            (handles[f"seed {k + 1}"],) = ax.plot(apart, y, **look)
            tables.append(style.long(f"final loss, {role}", "measured minus mean (10^-3 nats)", run, [y], [apart]))
        error = law.final[group].error if law is not None else None
        if error is not None:
            error *= 1e3
            open_: style.Look = {"ls": "", "marker": "D", "ms": 4.4, "mfc": "none", "mew": 0.9, "color": style.BLUE}
            (handles["Eq. 4 fitted to seed 1"],) = ax.plot(error, y, zorder=3, **open_)
            tables.append(style.long(f"final loss, {role}", "Eq. 4 minus mean (10^-3 nats)", group, [y], [error]))
    ax.set_yticks(range(len(groups)), [group.replace("_", " ") for group in reversed(groups)])
    ax.set_ylim(-0.6, len(groups) - 0.4)
    ax.set_xlabel(r"final loss minus mean of seeds ($10^{-3}$)")
    return tables


def _along(ax: Axes, result: Result) -> list[pd.DataFrame]:
    """The pooled deviation over seeds at each measured step of CPT; a dashed line for the last step of all runs."""
    tables = []
    for role, validation in result.validations.items():
        found, noise = result.along[role], result.noise[role]
        if found is None or noise is None or not found.phase_step:
            continue
        sd, colour = 1e3 * np.array(found.sd), SET_COLOURS[role]
        label = f"{style.SET_LABELS[role]} ({validation})"
        ax.plot(found.phase_step, sd, color=colour, lw=1.0, marker=".", ms=3, mew=0, label=label)
        ax.axhline(1e3 * noise, color=colour, lw=0.8, ls="--")
        tables.append(style.long("noise along CPT", f"{role}, 10^-3 nats", "", found.phase_step, sd))
    if not tables:
        _empty(ax)
        return []
    ax.set_xscale("log")
    ax.set_ylim(0, 1.3 * ax.get_ylim()[1])  # room for the legend
    ax.set_xlabel("step of CPT")
    ax.set_ylabel("noise of seeds\n" + r"($10^{-3}$ nats)")
    ax.legend(loc="upper right", ncols=2)
    return tables


def _parameters(ax: Axes, result: Result) -> list[pd.DataFrame]:
    """Coefficients of Eq. 4 fitted to each seed, over their mean; also the products that stay determined."""
    laws = {role: law for role, law in result.law.items() if law is not None}
    tables = []
    several = {role: {**law.parameters, **law.combinations} for role, law in laws.items()}
    names = list(next(iter(several.values()))) if laws else []
    for i, (role, values) in enumerate(several.items()):
        for j, name in enumerate(names):
            found = values[name]
            if not found.mean:
                continue  # a coefficient that is zero for all seeds has no relative spread
            relative = np.array(found.values) / found.mean
            x = j + 0.3 * (i - (len(laws) - 1) / 2)
            dots: style.Look = {"ls": "", "marker": "o", "ms": 3.2, "mew": 0, "alpha": 0.8}
            ax.plot([x, x], [relative.min(), relative.max()], color=SET_COLOURS[role], lw=0.8)
            label = style.SET_LABELS[role] if not j else None
            ax.plot([x] * len(relative), relative, color=SET_COLOURS[role], label=label, **dots)
            tables.append(style.long(f"coefficients, {role}", "over mean", name, [name] * len(relative), relative))
    if not tables:
        _empty(ax)
        return []
    ax.axhline(1, color=style.GREY, lw=0.6)
    ax.set_xticks(range(len(names)), [NAMES.get(name, f"${name}$") for name in names])
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.yaxis.set_major_locator(MaxNLocator(nbins=5))
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.25 * (high - low))
    ax.set_ylabel("coefficient of one seed\nover the mean")
    ax.legend(loc="upper right", ncols=2)
    return tables


def _empty(ax: Axes) -> None:
    ax.axis("off")
    ax.text(0.5, 0.5, NOTHING, ha="center", va="center", transform=ax.transAxes, color=style.GREY)
