"""The shift of two domains, and the shift under replay (arXiv 2505.07796, Figure 6)."""

import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from cpt_dynamics.config import Config, Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Run
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig06.result import (
    Domains,
    PowerForm,
    Replay,
    ReplayedShift,
    ReplaysOfSet,
    Result,
    RunShifts,
    Shift,
)
from cpt_dynamics.figures.kit import published, selection, shifts
from cpt_dynamics.figures.kit.joint import SETS, SIGNS
from cpt_dynamics.figures.kit.shifts import MeasuredForm, fit_form
from cpt_dynamics.figures.kit.statistics import least
from cpt_dynamics.laws import get

LATE = 0.25  # last share of the steps of CPT, over which the size of a shift is averaged
ROUNDING = 1e-9  # nats/token: shifts below it are none
PRINTED_AT = 4.0  # forward area of CPT at which printed shifts are compared, that of 20,000 steps at 2e-4


def analyse(data: FigureData) -> Result:
    """Shifts against the hidden curves (`shifts.measured`), by domain and by share of D_pt in CPT on the strong one."""
    config, entry = data.config, data.entry
    features = selection.with_areas(selection.of_runs(data.curves, entry.runs), data.schedules, config)
    runs = selection.transfers(data.experiments, entry.runs)
    domains = {}
    for role in (Role.WEAK, Role.STRONG):
        added = {config.corpus_of(role)}
        alone = (run.name for run in runs if _added(run, config) == added and run.share(config.roles.general) == 0)
        if (first := next(alone, None)) is not None:
            domains[role] = first
    replayed = [run for run in runs if _added(run, config) <= {config.roles.strong}]
    shares = {run.name: run.share(config.roles.general) for run in replayed}
    shares = dict(sorted(shares.items(), key=lambda item: item[1]))
    if len(domains) < 2 or len(set(shares.values())) < 2:
        raise UserError(
            f"{config.stated_in}: fig06 needs CPT on the weak and on the strong domain alone, and on the strong one"
            " with replay: list such runs"
        )
    hidden = shifts.hidden_curves(data.experiments, entry.runs)
    tables = {
        role: shifts.measured(features, hidden, config.corpus_of(role))
        for role in (Role.GENERAL, Role.STRONG, Role.WEAK)
    }
    by_domain = _domains(tables, domains)
    sets = {role: _replays(tables[role], shares, role) for role in SETS}
    return Result(
        figure="fig06",
        title=entry.title,
        validations={role: config.corpus_of(role) for role in tables},
        lambda_=config.law.lambda_,
        late=LATE,
        hidden=hidden,
        domains=by_domain,
        replay=Replay(runs=shares, sets=sets, printed_relative={role: _printed(role) for role in SETS}),
        least_r2=_least_r2(by_domain, sets.values()),
    )


def _added(run: Run, config: Config) -> set[str]:
    """The corpora that CPT adds to D_pt."""
    return {corpus for corpus, share in run.phases[-1].mixture if share > 0} - {config.roles.general}


def _domains(tables: dict[Role, pd.DataFrame], runs: dict[Role, str]) -> Domains:
    general = {role: _shift(tables[Role.GENERAL], run, Role.GENERAL) for role, run in runs.items()}
    own = {role: _shift(tables[role], run, role) for role, run in runs.items()}
    return Domains(
        runs=runs,
        sets={"general": general, "own": own},
        weak_over_strong={
            "general": _ratio(general[Role.WEAK].size, general[Role.STRONG].size),
            "own": _ratio(own[Role.WEAK].size, own[Role.STRONG].size),
        },
    )


def _shift(table: pd.DataFrame, run: str, role: Role) -> Shift:
    """The shift of one run, its size late in CPT, and the power form over the forward area (Eq. 3)."""
    rows = table[table["run"] == run].reset_index(drop=True)
    late = rows["phase_step"] > (1 - LATE) * rows["phase_step"].max()
    power, fitted = None, np.full(len(rows), np.nan)
    if rows["shift"].abs().max() > ROUNDING and len(rows) > len(get("shift_power").parameters):
        found = fit_form(rows, role)
        fitted = found.predict(rows)
        r2 = found.metrics["continual"].get("r2")
        power = PowerForm(**dict(MeasuredForm.of(found)), r2_continual=r2, warnings=found.warnings)
    return Shift(
        run=run,
        role=role,
        rows=len(rows),
        interpolated=int(rows["interpolated"].sum()),
        size=float(rows.loc[late, "shift"].mean()),
        final=float(rows["shift"].iloc[-1]),
        mean_size=float(rows["shift"].abs().mean()),
        power=power,
        shifts=RunShifts.of(rows.assign(fitted=fitted)),
    )


def _replays(table: pd.DataFrame, shares: dict[str, float], role: Role) -> ReplaysOfSet:
    """The shifts of runs by their share of D_pt, and whether a larger one shifts less: on D_pt up, on D_cpt down."""
    runs = {run: ReplayedShift(**dict(_shift(table, run, role)), replay=share) for run, share in shares.items()}
    means = pd.DataFrame([dict(one) for one in runs.values()]).groupby("replay")[["size", "mean_size"]].mean()
    sizes, whole = means["size"].to_dict(), means["mean_size"].to_dict()
    sign = 1 if SIGNS[role] == "positive" else -1
    directed = {ratio: sign * size for ratio, size in sizes.items()}
    falls = np.diff(list(directed.values())) < 0
    return ReplaysOfSet(
        runs=runs,
        sizes=sizes,
        relative={ratio: _ratio(size, directed.get(0.0)) for ratio, size in directed.items()},
        order=float(np.mean(falls)),
        monotone=bool(np.all(falls)),
        same_data=_ratio(whole[1.0], whole[0.0]) if {0.0, 1.0} <= whole.keys() else None,
    )


def _printed(role: Role) -> dict[float, float]:
    """Share of the printed shift at `PRINTED_AT` that stays at each printed replay ratio."""
    at = {"s1cpt": np.array([PRINTED_AT])}
    sizes = {}
    for item in published.load():
        ratio = re.search(r"replay (\d+) %", item.setting)
        if item.role == role and (item.figure == "fig03" or (item.figure == "fig12" and ratio)):
            values = {name: item.parameters[name] or 0.0 for name in ("B", "E", "beta")}
            sizes[int(ratio[1]) / 100 if ratio else 0.0] = float(get("shift_power").predict(values, at)[0])
    return {ratio: size / sizes[0.0] for ratio, size in sorted(sizes.items()) if ratio}


def _least_r2(domains: Domains, replays: Iterable[ReplaysOfSet]) -> float | None:
    every: Sequence[Shift] = [
        *(one for side in domains.sets.values() for one in side.values()),
        *(one for found in replays for one in found.runs.values()),
    ]
    return least([one.power.r2 for one in every if one.power is not None])


def _ratio(one: float, other: float | None) -> float | None:
    return one / other if other else None
