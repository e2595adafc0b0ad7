"""Is the power of the LR in the noise law a matter of weight decay? The tables of docs/noise-law.md on it.

    python scripts/power_of_lr.py                          # from the curves in data/measured; takes minutes
    python scripts/power_of_lr.py --validation code        # the loss on another validation set

Give it in the folder of the checkout. The runs are those of config/decay/, and what the bounds below mean was laid down
before they were trained.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import t

from cpt_dynamics import config as configuration
from cpt_dynamics import curves, experiments, fitting, laws
from cpt_dynamics.cli.contrasts import Folder
from cpt_dynamics.curves.assemble import assemble
from cpt_dynamics.fitting import Fit, LeftOut, Profile
from cpt_dynamics.fitting.comparison import counted, search
from cpt_dynamics.fitting.logged import FittedRows

SCALES = {"with": "with_decay", "without": "without_decay"}
LEVEL = 0.9
MATTERS = 0.15  # difference of p from which it is said to matter
CONDITION = 300  # from which p is not told
LAW = laws.get("noise_peaks")
(BOUNDS,) = ((p.lower, p.upper) for p in LAW.parameters if p.name == "p")
Interval = tuple[float, float]


@dataclass(frozen=True)
class Fits:
    """The law fitted to the six runs of a scale: p free, p held at 1, and what leaving curves out makes of both.

    by_curve, by_group: without each curve, and without each group of curves that share no row with others.
    ends: the last loss of every run. rise: how far the loss at the constant high LR rises above an earlier one, nats.
    """

    free: Fit
    one: Fit
    by_curve: LeftOut
    by_group: LeftOut
    one_by_curve: LeftOut
    profile: Profile | None
    ends: dict[str, float]
    rise: float

    @property
    def p(self) -> float:
        return self.free.parameters["p"]

    @property
    def told(self) -> bool:
        """Whether the runs tell p: no fit has it at a bound, and the condition number is low."""
        found = [self.p, *refits(self.by_curve), *refits(self.by_group)]
        inside = all(BOUNDS[0] * 1.001 < p < BOUNDS[1] * 0.999 for p in found)
        return inside and self.free.condition is not None and self.free.condition < CONDITION


def measured(scale: str, validation: str) -> FittedRows:
    """The rows of the six runs of a scale that are fitted."""
    config = configuration.load([f"config/decay/{scale}.yaml"])
    runs = experiments.load(config).runs.values()
    plan = experiments.plan(runs, config)
    table, schedules = assemble(runs, plan, Folder(config, Path("data/measured") / scale))
    rows = table[table["validation"] == validation].reset_index(drop=True)
    return FittedRows.of(counted(curves.features(rows, schedules)), [], config.law.first_step)


def fits(rows: FittedRows, profiled: bool) -> Fits:
    loss = rows.used["loss"]
    free, held = search(LAW, rows.used)[0], search(LAW.fixed(p=1.0), rows.used)[0]
    at_one = {**held.parameters, "p": 1.0}  # a second start: without a curve another solution may be the best one
    by_curve, one_by_curve = _left_out(free, rows, None, at_one), _left_out(held, rows)
    groups = fitting.independent(rows.repeated, rows.repeated["loss"])
    profile = fitting.profile(LAW, rows.used, loss, "p", found=free, level=LEVEL, n_screen=0) if profiled else None
    last = rows.repeated.sort_values("step").groupby("run")["loss"].last()
    ends = {str(run): float(end) for run, end in last.items()}
    high = rows.repeated[rows.repeated["run"] == "high_constant"].sort_values("step")["loss"]
    rise = float((high - high.cummin()).max())
    return Fits(free, held, by_curve, _left_out(free, rows, groups, at_one), one_by_curve, profile, ends, rise)


def _left_out(found: Fit, rows: FittedRows, groups: np.ndarray | None = None, *starts: dict[str, float]) -> LeftOut:
    table, begun = rows.repeated, [found.parameters, *starts]
    return fitting.leave_one_curve_out(found.law, table, table["loss"], groups, n_screen=0, starts=begun)


def refits(left_out: LeftOut) -> list[float]:
    """p without each curve or group, in their order."""
    return [one.parameters["p"] for one in left_out.curves]


def jackknife(estimate: float, without: list[float]) -> Interval:
    """The interval of the delete-one jackknife, t distribution with n - 1 degrees."""
    half = float(t.ppf((1 + LEVEL) / 2, len(without) - 1) * np.std(without) * np.sqrt(len(without) - 1))
    return estimate - half, estimate + half


def intervals(found: Fits) -> list[Interval]:
    """Of p: without each curve, and without each group."""
    return [jackknife(found.p, refits(one)) for one in (found.by_curve, found.by_group)]


def difference(found: dict[str, Fits]) -> tuple[float, list[Interval]]:
    """p with decay minus p without, and its intervals: without the same curve, and the same group, in both."""
    with_, without = found["with"], found["without"]
    pairs = [(with_.by_curve, without.by_curve), (with_.by_group, without.by_group)]
    assert all([one.group for one in a.curves] == [one.group for one in b.curves] for a, b in pairs)
    estimate = with_.p - without.p
    moved = [list(np.subtract(refits(a), refits(b))) for a, b in pairs]
    return estimate, [jackknife(estimate, one) for one in moved]


def verdict(told: bool, estimate: float, limits: list[Interval]) -> str:
    """yes: p is a matter of weight decay; no: it is not; or not told."""
    if told and abs(estimate) > MATTERS and all(low > 0 or high < 0 for low, high in limits):
        return "yes"
    if told and all(low > -MATTERS and high < MATTERS for low, high in limits):
        return "no"
    return "not told"


def lines(found: dict[str, Fits]) -> Iterator[str]:
    """The tables of the page."""
    estimate, limits = difference(found)
    yield "| | with decay (.1) | without |"
    yield "|---|---|---|"
    for name, cells in _rows(found).items():
        yield f"| {name} | {cells[0]} | {cells[1]} |"
    yield ""
    yield f"difference of p: {_number(estimate)}, {' and '.join(map(_interval, limits))}"
    yield f"a matter of weight decay: {verdict(all(one.told for one in found.values()), estimate, limits)}"
    above = all(low > 1 for low, _ in intervals(found["without"]))
    yield f"p is above 1 without decay: {'yes' if found['without'].told and above else 'not told'}"
    rises = [f"{one.rise:.3f}" for one in found.values()]
    yield f"largest rise at constant 4e-3: {' and '.join(rises)} nats"
    yield ""
    yield "| end at 1e-3, 4e-3 | with decay (.1) | without |"
    yield "|---|---|---|"
    for shape in ("constant", "cosine", "wsd"):
        ends = [f"{one.ends[f'low_{shape}']:.4f}, {one.ends[f'high_{shape}']:.4f}" for one in found.values()]
        yield f"| {shape} | {ends[0]} | {ends[1]} |"


def _rows(found: dict[str, Fits]) -> dict[str, list[str]]:
    both = list(found.values())
    rows = {
        "p": [_number(one.p) for one in both],
        "90 %, without each curve": [_interval(intervals(one)[0]) for one in both],
        "90 %, without each group": [_interval(intervals(one)[1]) for one in both],
    }
    if all(one.profile for one in both):
        rows["90 %, profile"] = [_interval((one.profile.lower, one.profile.upper)) for one in both if one.profile]
    rows |= {
        "condition number, p free": [f"{one.free.condition or np.inf:.0f}" for one in both],
        "objective in 1e-4, p free": [f"{1e4 * one.free.objective:.2f}" for one in both],
        "objective in 1e-4, p = 1": [f"{1e4 * one.one.objective:.2f}" for one in both],
        "mean error of fitted rows, p free": [_percent(one.free.metrics["all"]["mean_relative_error"]) for one in both],
        "mean error of fitted rows, p = 1": [_percent(one.one.metrics["all"]["mean_relative_error"]) for one in both],
        "mean error of curves left out, p free": [_percent(_mean(one.by_curve)) for one in both],
        "mean error of curves left out, p = 1": [_percent(_mean(one.one_by_curve)) for one in both],
    }
    for name in ("L0", "A", "alpha", "K", "M", "c"):
        rows[f"{name}, p free"] = [f"{one.free.parameters[name]:.3g}" for one in both]
    return rows


def _mean(left_out: LeftOut) -> float:
    return float(np.mean([one.mean_error for one in left_out.curves]))


def _number(value: float) -> str:
    return f"{value:.2f}"


def _interval(limits: Interval) -> str:
    return f"{limits[0]:.2f} to {limits[1]:.2f}"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--validation", default="handbook", help="default: handbook, which is D_pt")
    options = parser.parse_args()
    found = {name: fits(measured(scale, options.validation), True) for name, scale in SCALES.items()}
    print("\n".join(lines(found)))


if __name__ == "__main__":
    main()
