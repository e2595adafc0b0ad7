"""Eq. 4 fitted to each of the larger model sizes separately (arXiv 2505.07796, Figure 16)."""

from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig16.result import Result
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SETS, choices, joint


def analyse(data: FigureData) -> Result:
    """One fit of Eq. 4 for each model size of the figure that has CPT, and each validation set."""
    runs = data.entry.runs
    moved = [run.name for run in selection.transfers(data.experiments, runs)]
    if not moved:
        raise UserError(f"{data.config.stated_in}: fig16 has no run with a continual phase: list one for each size")
    models = selection.by_model(data.experiments, moved)
    every = selection.by_model(data.experiments, runs)
    return Result(
        **choices(data),
        runs=runs,
        models=models,
        fits={
            model: {role: joint(data.curves, data.schedules, data.config, every[model], role).result() for role in SETS}
            for model in models
        },
        params=selection.params(data.curves, models),
    )
