"""The turning length of CPT against the weight of the D_pt loss in the goal (Fig. 13)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from cpt_dynamics.figures.kit import optima, style
from cpt_dynamics.figures.kit.turning_lengths import TurningCurve

ONCE: style.Look = {"ls": "", "marker": "o", "ms": 4.5, "mfc": "white", "mew": 1.2, "zorder": 3}
NEVER: style.Look = {"ls": ":", "lw": 1.1}
MANY = 20_000  # steps, from which on they are counted in thousands


def turning(curves: Mapping[str, TurningCurve], max_steps: int) -> tuple[Figure, pd.DataFrame]:
    """Turning length against w1 for each shift strength, and the weight from which on there is none."""
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 2.9), layout="constrained")
        style.pads(figure)
        ax = figure.subplots()
        handles: dict[str, Artist] = {}
        tables = []
        unit, units = (1e3, "thousand steps") if max_steps >= MANY else (1.0, "steps")
        top = max_steps / unit
        for strength, curve in curves.items():
            drawn = [
                (weight, steps / unit)
                for weight, steps in zip(curve.weights, curve.steps, strict=True)
                if steps is not None and (curve.at_once is None or weight >= curve.at_once)
            ]
            x, y = np.array(drawn).reshape(-1, 2).T
            look = optima.STRENGTHS[strength]
            (handles[f"{strength} shift"],) = ax.plot(x, y, lw=1.6, **look)
            tables.append(style.long("a", "turning length", strength, x, y))
            if curve.at_once is not None:
                ax.plot([curve.at_once], [0], color=look["color"], **ONCE)
            if curve.never is not None:
                never = [curve.never] * 2
                ax.plot(never, [0, top], color=look["color"], **NEVER)
                tables.append(style.long("a", "infinite", strength, never, [0, top]))
        (handles["the goal never rises up to here"],) = ax.plot([], [], color=style.GREY, **ONCE)
        (handles["infinite from here on"],) = ax.plot([], [], color=style.GREY, **NEVER)
        ax.set_ylim(-0.03 * top, top)
        ax.set_xlim(-0.02, 1.02)
        ax.set_xlabel(optima.WEIGHT)
        ax.set_ylabel(f"turning length ({units})")
        style.legend_below(figure, handles, columns=3)
    return figure, pd.concat(tables, ignore_index=True)
