"""Figure 13: the turning length of the weighted goal against w1, by fitted laws (arXiv 2505.07796)."""

from dataclasses import replace

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig13.result import FittedCurve, Result
from cpt_dynamics.figures.kit import selection, strengths
from cpt_dynamics.figures.kit.printed import sources
from cpt_dynamics.figures.kit.turning_lengths import TurningCurve, against_weight, statements


def analyse(data: FigureData) -> Result:
    """Turning lengths for three strengths of the shift; no curve is read.

    CPT goes back to the peak of PT at once, and its cosine is stretched to every length tried, up to the paper's
    longest one in its ratio to PT.
    """
    config = data.config
    (panel,) = sources.load().figures["fig13"].panels.values()
    longest = strengths.scaled(max(panel.steps), config)
    scenario = replace(strengths.scenario(config), rewarmup=0)
    known = strengths.by_strength(data)
    curves = {
        name: FittedCurve(
            **dict(against_weight(one.pair, scenario, longest)), critical_point_determined=one.summary.limit_determined
        )
        for name, one in known.items()
    }
    return Result(
        figure="fig13",
        title=data.entry.title,
        validations={**selection.roles(config), Role.WEAK: config.roles.weak},
        pretraining_steps=scenario.pretraining_steps,
        max_steps=longest,
        laws={name: one.summary for name, one in known.items()},
        curves=curves,
        infinite={name: _says(curve) for name, curve in curves.items()},
        checks=statements(curves),
    )


def _says(curve: TurningCurve) -> str:
    if curve.never is None:
        return "no weight has an infinite turning length"
    return f"infinite from w1 = {curve.never:.3f} on" if curve.never > 0 else "infinite at every weight"
