"""Figure 6: the shift of two domains, and the shift under replay (arXiv 2505.07796)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments, Run
from cpt_dynamics.figures.kit import published, selection, shifts
from cpt_dynamics.figures.kit.joint import SETS, SIGNS
from cpt_dynamics.files import plain
from cpt_dynamics.fitting import fit
from cpt_dynamics.laws import get

DOMAINS = ("weak", "strong")
LATE = 0.25  # last share of the steps of CPT, over which the size of a shift is averaged
ROUNDING = 1e-9  # nats/token: shifts below it are none
PRINTED_AT = 4.0  # forward area of CPT at which printed shifts are compared, that of 20,000 steps at 2e-4
REFERENCE = "strong"  # the domain whose replay is shown


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The shift of every CPT run of the figure, and the power form fitted to each.

    `domains` compares CPT on one domain alone with CPT on the other, on D_pt (`general`) and on the validation set
    of the domain that is trained on (`own`). `replay` compares shares of D_pt in CPT on the strong domain, on both
    validation sets. A run's shift is its loss minus the hidden pre-training curve of its LR (`shifts.measured`).
    """
    entry = selection.entry(experiments, "fig06")
    features = selection.with_areas(selection.of_runs(curves, list(entry.runs)), schedules, config)
    found = selection.transfers(experiments, entry.runs)
    alone = {role: _one(found, config, role, 0.0) for role in DOMAINS}
    replayed = sorted(
        (run for run in found if _domain(run, config) in (REFERENCE, None)), key=lambda r: _replay(r, config)
    )
    if None in alone.values() or len({_replay(run, config) for run in replayed}) < 2:
        raise UserError(
            f"{config.stated_in}: fig06 needs CPT on the weak and on the strong domain alone, and on the strong one"
            " with replay: list such runs"
        )
    tables = {
        role: _measured(features, experiments, list(entry.runs), config.corpus_of(role))
        for role in dict.fromkeys((*SETS, *DOMAINS))
    }
    domains = {role: run.name for role, run in alone.items() if run is not None}
    result = {
        "general": {role: _shift(tables["general"], name, "general") for role, name in domains.items()},
        "own": {role: _shift(tables[role], name, role) for role, name in domains.items()},
    }
    sets = {role: _replays(tables[role], replayed, role, config) for role in SETS}
    return plain(
        {
            "figure": "fig06",
            "title": entry.title,
            "validations": {role: config.corpus_of(role) for role in tables},
            "lambda": config.law.lambda_,
            "late": LATE,
            "hidden": {run.name: selection.twins(run, experiments, entry.runs).hidden for run in found},
            "domains": {
                "runs": domains,
                "sets": result,
                "weak_over_strong": {
                    key: _ratio(sides["weak"]["size"], sides["strong"]["size"]) for key, sides in result.items()
                },
            },
            "replay": {
                "runs": {run.name: _replay(run, config) for run in replayed},
                "sets": sets,
                "printed_relative": {role: printed_shares(role) for role in SETS},
            },
        }
    )


def _replay(run: Run, config: Config) -> float:
    """Share of D_pt in CPT, r_pt."""
    return dict(run.phases[-1].mixture).get(config.roles.general, 0.0)


def _domain(run: Run, config: Config) -> str | None:
    """Role of the domain that CPT adds, None where it stays on D_pt; "" for any other or several."""
    others = {corpus for corpus, share in run.phases[-1].mixture if share > 0} - {config.roles.general}
    if not others:
        return None
    return next((role for role in DOMAINS if others == {config.corpus_of(role)}), "")


def _one(runs: Sequence[Run], config: Config, role: str, replay: float) -> Run | None:
    """The first run of a domain and a replay ratio."""
    return next((run for run in runs if _domain(run, config) == role and _replay(run, config) == replay), None)


def _measured(features: pd.DataFrame, experiments: Experiments, runs: list[str], validation: str) -> pd.DataFrame:
    if validation not in set(features["validation"]):
        raise UserError(f"curves have no losses on the validation set {validation!r}: evaluate it")
    return shifts.measured(features, experiments, runs, validation)


def _shift(table: pd.DataFrame, run: str, role: str) -> dict[str, Any]:
    """The shift of one run, its size late in CPT, and the power form over the forward area (Eq. 3).

    `size`: mean over the last `LATE` of the steps of CPT; `final`: at the last one (nats/token, with their sign).
    `power` is None where the shift is zero throughout, as where nothing changes at the transfer.
    """
    rows = table[table["run"] == run].reset_index(drop=True)
    rows.attrs = table.attrs
    late = rows["phase_step"] > (1 - LATE) * rows["phase_step"].max()
    size = float(rows.loc[late, "shift"].mean())
    law = get("shift_power", SIGNS[role])
    power = None
    fitted = np.full(len(rows), np.nan)
    if rows["shift"].abs().max() > ROUNDING and len(rows) > len(law.parameters):
        found = fit(law, rows, rows["shift"])
        fitted = found.predict(rows)
        metrics = found.metrics["all"]
        power = {
            "parameters": found.parameters,
            "combinations": found.combinations,
            "r2": metrics.get("r2"),
            "r2_continual": found.metrics["continual"].get("r2"),
            "mae": metrics["mae"],
            "rmse": metrics["rmse"],
            "huber_sum": metrics["huber_sum"],
            "warnings": found.warnings,
            "fit": found.to_json(),
        }
    kept = rows[["phase_step", "s1cpt", "shift"]].assign(fitted=fitted)
    return {
        "run": run,
        "role": role,
        "rows": len(rows),
        "interpolated": int(rows["interpolated"].sum()),
        "size": size,
        "final": float(rows["shift"].iloc[-1]),
        "mean_size": float(rows["shift"].abs().mean()),
        "power": power,
        "shifts": kept.to_dict("list"),
    }


def _replays(table: pd.DataFrame, runs: Sequence[Run], role: str, config: Config) -> dict[str, Any]:
    """The shifts of one validation set by replay ratio (ascending), and whether a larger share shifts more.

    `order`: share of neighbouring ratios of which the one with more of the domain has the larger shift, in the
    direction of the paper (up on D_pt, down on D_cpt). `same_data`: mean size of the shift where CPT is on D_pt
    alone, over that without replay; None where one of the two is missing.
    """
    found = {run.name: {"replay": _replay(run, config), **_shift(table, run.name, role)} for run in runs}
    means = pd.DataFrame(list(found.values())).groupby("replay")[["size", "mean_size"]].mean()
    sizes = means["size"] * (1 if SIGNS[role] == "positive" else -1)
    falls = np.diff(sizes) < 0
    both = {0.0, 1.0} <= set(means.index)
    return {
        "runs": found,
        "sizes": means["size"].to_dict(),
        "relative": {ratio: _ratio(size, sizes.get(0.0)) for ratio, size in sizes.items()},
        "order": float(np.mean(falls)),
        "monotone": bool(np.all(falls)),
        "same_data": _ratio(means["mean_size"][1.0], means["mean_size"][0.0]) if both else None,
    }


def printed_shares(role: str) -> dict[float, float]:
    """The shift at each printed replay ratio (Fig. 12) over that without replay (Fig. 3), at `PRINTED_AT`."""
    at = {"s1cpt": np.array([PRINTED_AT])}
    sizes = {}
    for item in published.load():
        ratio = re.search(r"replay (\d+) %", item.setting)
        if item.role == role and (item.figure == "fig03" or (item.figure == "fig12" and ratio)):
            values = {name: item.parameters[name] or 0.0 for name in ("B", "E", "beta")}
            sizes[int(ratio[1]) / 100 if ratio else 0.0] = float(get("shift_power").predict(values, at)[0])
    return {ratio: size / sizes[0.0] for ratio, size in sorted(sizes.items()) if ratio}


def _ratio(one: float, other: float | None) -> float | None:
    return one / other if other else None
