"""Figure 13 from printed coefficients: the turning length of the weighted goal against w1 (arXiv 2505.07796)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit.printed import sources
from cpt_dynamics.figures.kit.printed.sources import Panel, PrintedFigure
from cpt_dynamics.files import plain
from cpt_dynamics.laws import Array
from cpt_dynamics.planning import Pair, Scenario, critical_point, turning_lengths

WEIGHTS = np.linspace(0, 1, 201)
COARSE = np.linspace(0, 1, 51)  # weights of the alternatives
SHORTER = 0.2  # of the longest CPT, for the alternatives


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Turning lengths for three shift strengths, and what they show. The arguments are not read."""
    return turning("printed_fig13", sources.load().figures["fig13"])


def turning(name: str, figure: PrintedFigure) -> dict[str, Any]:
    """The result of the figure for the given settings; `plots.turning` draws `curves`."""
    (panel,) = figure.panels.values()
    scenario, longest = panel.setting(), max(panel.steps)
    found = {}
    for strength, source in figure.coefficients.items():
        pair = sources.pair(source, figure.settings)
        found[strength] = {
            **against_weight(pair, scenario, longest, WEIGHTS),
            "critical_point": critical_point(pair.general),
            "start": scenario.ends(pair.general)[0],
        }
    return plain(
        {
            **sources.head(name, figure),
            "max_steps": longest,
            "curves": found,
            "alternatives": alternatives(figure, panel, round(SHORTER * longest)),
            "checks": statements(found),
        }
    )


def alternatives(figure: PrintedFigure, panel: Panel, max_steps: int) -> list[dict[str, Any]]:
    """Where turning lengths begin and end under each alternative of the panel (see `against_weight`)."""
    result = []
    for other in panel.alternatives:
        settings, scenario = sources.changed(figure, other.change), panel.setting(other.change)
        limits = {}
        for strength, source in figure.coefficients.items():
            found = against_weight(sources.pair(source, settings), scenario, max_steps, COARSE)
            limits[strength] = {key: found[key] for key in ("at_once", "finite", "never")}
        result.append({"name": other.name, "max_steps": max_steps, "limits": limits})
    return result


def against_weight(pair: Pair, scenario: Scenario, max_steps: int, weights: Sequence[float] | Array) -> dict[str, Any]:
    """Turning length at every w1, [weights]: 0 where the objective never rises, NaN where it is not back.

    infinite: where the law says that it never is. at_once: highest w1 whose objective never rises; finite: highest
    w1 with a turning length; never: lowest w1 that has none at any length. Not finite where there is no such w1.
    """
    lengths = turning_lengths(pair, scenario, max_steps, [float(weight) for weight in weights])
    steps = np.array([np.nan if length.steps is None else length.steps for length in lengths], dtype=np.float64)
    infinite = np.array([length.infinite for length in lengths])
    at = np.asarray(weights, dtype=np.float64)
    return {
        "weights": at,
        "steps": steps,
        "infinite": infinite,
        "at_once": float(at[steps == 0].max(initial=-np.inf)),
        "finite": float(at[np.isfinite(steps)].max(initial=-np.inf)),
        "never": float(at[infinite].min(initial=np.inf)),
    }


def statements(found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the figure shows, as statements about the computed curves."""
    rising = [bool(np.all(np.diff(f["steps"][np.isfinite(f["steps"])]) >= 0)) for f in found.values()]
    limits = [found[name]["finite"] for name in ("strong", "moderate", "weak")]
    return [
        sources.check("the turning length never falls with w1", all(rising)),
        sources.check(
            "the weaker the shift, the larger the weights with a finite turning length", limits == sorted(limits)
        ),
        sources.check(
            "with a strong shift the turning length is infinite at large w1", bool(found["strong"]["infinite"][-1])
        ),
        sources.check(
            "with a weak shift it is finite even for D_pt alone", bool(np.isfinite(found["weak"]["steps"][-1]))
        ),
    ]
