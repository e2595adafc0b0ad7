"""Eq. 4 fitted separately at each replay ratio (arXiv 2505.07796, Figure 12)."""

from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig12.result import FitAtRatio, Result
from cpt_dynamics.figures.kit import selection, statistics
from cpt_dynamics.figures.kit.joint import SETS, Joint, choices, joint
from cpt_dynamics.laws import get


def analyse(data: FigureData) -> Result:
    """One fit of Eq. 4 for each share of D_pt in CPT and each validation set."""
    runs = data.entry.runs
    groups = _groups(data)
    found = {
        ratio: {role: joint(data.curves, data.schedules, data.config, names, role) for role in SETS}
        for ratio, names in groups.items()
    }
    end = min(float(one.rows.table["s1cpt"].max()) for by_role in found.values() for one in by_role.values())
    fits = {
        _percent(ratio): {role: _fit(one, end) for role, one in by_role.items()} for ratio, by_role in found.items()
    }
    sizes = {role: [abs(by_role[role].shift) for by_role in fits.values()] for role in SETS}
    moved = {run.name for run in selection.transfers(data.experiments, runs)}
    return Result(
        **choices(data),
        runs=runs,
        ratios={_percent(ratio): ratio for ratio in groups},
        groups={_percent(ratio): [run for run in names if run in moved] for ratio, names in groups.items()},
        end=end,
        fits=fits,
        trend={
            role: statistics.slope_test(list(groups), sizes[role], "replay ratio with a fit of its own")
            for role in SETS
        },
        least_r2={role: statistics.least([by_role[role].r2 for by_role in fits.values()]) for role in SETS},
        shift_falls={role: statistics.falls(sizes[role]) for role in SETS},
    )


def _groups(data: FigureData) -> dict[float, list[str]]:
    """Replay ratio, ascending -> the CPT runs with it and all runs of pre-training alone."""
    by_ratio = selection.by_replay(data.experiments, data.config, data.entry.runs)
    if not by_ratio:
        raise UserError(f"{data.config.stated_in}: fig12 has no run with a continual phase: list runs with replay")
    moved = {run for runs in by_ratio.values() for run in runs}
    return {
        ratio: [run for run in data.entry.runs if run in runs or run not in moved] for ratio, runs in by_ratio.items()
    }


def _percent(ratio: float) -> str:
    return f"{100 * ratio:g}"


def _fit(found: Joint, s1cpt: float) -> FitAtRatio:
    """A fit with its shift term at a forward area of CPT."""
    shift = get("shift_power").predict(found.fit.parameters, {"s1cpt": [s1cpt]})
    return FitAtRatio(**dict(found.result()), shift=float(shift[0]))
