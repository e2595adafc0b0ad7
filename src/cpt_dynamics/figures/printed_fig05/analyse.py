"""Figures 5c and 5f from printed coefficients: the final D_cpt loss against the loss potential (arXiv 2505.07796)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit.printed import lengths, sources
from cpt_dynamics.figures.kit.printed.sources import PrintedFigure
from cpt_dynamics.files import plain


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Final losses by panel, their range beside the printed one, and the ranges under other assumptions.

    The arguments are those of every figure's analysis and are not read.
    """
    return potentials("printed_fig05", sources.load().figures["fig05"])


def potentials(name: str, figure: PrintedFigure) -> dict[str, Any]:
    """The result of the figure for the given settings; `panels` holds what `plots.loss_potential` draws."""
    (source,) = figure.coefficients.values()
    panels: dict[str, Any] = {}
    checks = []
    for key, panel in figure.panels.items():
        found = lengths.finals(
            sources.pair(source, figure.settings), panel.setting(), "potential", panel.steps, panel.values
        )
        panels[key] = {"title": panel.title, "shows": panel.shows, "role": panel.role, "lengths": found}
        if panel.printed is not None:
            computed = lengths.span(found, panel.role)
            panels[key]["range"] = sources.compare(panel.printed, computed, sources.load().rule)
            panels[key]["alternatives"] = lengths.alternatives(figure, panel, "potential", {panel.role: panel.printed})
        checks += statements(key, panel.role, found)
    return plain({**sources.head(name, figure), "panels": panels, "checks": checks})


def statements(key: str, role: str, found: lengths.Lengths) -> list[dict[str, Any]]:
    """What the paper's panel shows, as statements about the computed curves."""
    best = [length["best"][role]["value"] == max(length["values"]) for length in found]
    return [
        sources.check(f"({key}) the highest potential ends lowest at every length of CPT", all(best)),
        sources.check(f"({key}) the final loss falls with the potential at every length", lengths.falls(found, role)),
        sources.check(f"({key}) a longer CPT ends lower at every potential", lengths.lower_when_longer(found, role)),
    ]
