"""Figure 20 and Table 2: the variants of the annealing area, Eqs. 9 and 10 (arXiv 2505.07796)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics import curves as tables
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SETS, SIGNS, fitted, joint, relative
from cpt_dynamics.figures.kit.statistics import mean_test
from cpt_dynamics.files import plain
from cpt_dynamics.fitting import Fit
from cpt_dynamics.laws import get


@dataclass(frozen=True)
class Variant:
    """A form of the annealing part: its law, and the power of the LR that weights the area (None: it has none)."""

    law: str
    lr_power: float | None = None


VARIANTS = {
    "lr_weighted_01": Variant("cpt_lr_weighted", 0.1),
    "lr_weighted_02": Variant("cpt_lr_weighted", 0.2),
    "power": Variant("cpt_power"),
}


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Eq. 4 and its variants fitted to the same runs, and their errors on runs that none was fitted to.

    `sets` holds, by role, Eq. 4 (`original`, the fit of Fig. 3, taken from `fits["fig03"]` if given) and the
    `variants`. Each has `heldout`: mean relative errors on the CPT rows of each held-out run and their mean over
    runs. `difference` of a variant tests, over held-out runs, its error minus that of Eq. 4; `carry_over` tests
    the error of Eq. 4 with the annealing momentum carried over into CPT minus that with a restart at the
    transfer, both fitted to the same rows with the configured lambda (low, high: 90 % interval of the mean).
    """
    entry = selection.entry(experiments, "fig20")
    if not entry.heldout:
        raise UserError(f"{config.stated_in}: fig20 has no held-out runs: list them under `heldout`")
    known = (fits or {}).get("fig03")
    if known is not None and set(known["runs"]) != set(entry.runs):
        raise UserError(f"{config.stated_in}: fig20 must be fitted to the runs of fig03, whose fit it uses")
    runs, heldout = list(entry.runs), list(entry.heldout)
    some = selection.of_runs(curves, list(dict.fromkeys([*runs, *heldout])))
    result: dict[str, Any] = {}
    for role, validation in selection.roles(config).items():
        by_carry = {
            carry: known["fits"][role]["chosen" if carry == config.law.carry_over else "other_carry_over"]
            if known is not None
            else joint(curves, schedules, config, runs, role, carry_over=carry).summary()
            for carry in (True, False)
        }
        errors = {
            carry: _heldout(Fit.from_json(found["fit"]), some, schedules, heldout, validation)
            for carry, found in by_carry.items()
        }
        original = errors[config.law.carry_over]
        result[role] = {
            "validation": validation,
            "original": {**by_carry[config.law.carry_over], "heldout": _summary(original)},
            "variants": {
                name: _variant(variant, some, schedules, config, runs, heldout, role, original)
                for name, variant in VARIANTS.items()
            },
            "carry_over": {
                "carried": {"huber_sum": by_carry[True]["huber_sum"], "heldout": _summary(errors[True])},
                "restart": {"huber_sum": by_carry[False]["huber_sum"], "heldout": _summary(errors[False])},
                "difference": _difference(errors[True], errors[False]),
            },
        }
    return plain(
        {
            "figure": "fig20",
            "title": entry.title,
            "runs": runs,
            "heldout_runs": heldout,
            "validations": selection.roles(config),
            "lambda": config.law.lambda_,
            "carry_over": config.law.carry_over,
            "first_step": config.law.first_step,
            "sets": {role: result[role] for role in SETS},
        }
    )


def features_of(rows: pd.DataFrame, schedules: pd.DataFrame, settings: Mapping[str, Any]) -> pd.DataFrame:
    """`rows` with areas made as `settings` (those of a fit) say, the weight of the LR with them."""
    return tables.features(
        rows,
        schedules,
        settings["lambda"],
        settings["warmup"],
        settings["carry_over"],
        lr_power=settings["lr_power"],
    )


def _variant(
    variant: Variant,
    some: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    runs: list[str],
    heldout: list[str],
    role: str,
    original: dict[str, float],
) -> dict[str, Any]:
    """The fit of a variant, its held-out errors and their difference from those of Eq. 4."""
    areas = selection.with_areas(selection.of_runs(some, runs), schedules, config)
    if variant.lr_power is not None:
        areas = features_of(
            selection.of_runs(some, runs),
            schedules,
            {**{str(key): value for key, value in areas.attrs.items()}, "lr_power": variant.lr_power},
        )
    found = fitted(areas, schedules, config, runs, role, get(variant.law, SIGNS[role]))
    errors = _heldout(found.fit, some, schedules, heldout, found.validation)
    return {
        **found.summary(),
        "eps": variant.lr_power,
        "heldout": _summary(errors),
        "difference": _difference(errors, original),
    }


def _heldout(
    found: Fit, some: pd.DataFrame, schedules: pd.DataFrame, runs: list[str], validation: str
) -> dict[str, float]:
    """Mean relative error of a fit on the CPT rows of each run."""
    features = features_of(selection.of_runs(some, runs), schedules, found.settings)
    return {run: relative(found, selection.continual(features, [run], validation)) for run in runs}


def _summary(errors: dict[str, float]) -> dict[str, Any]:
    """Errors by run and their mean."""
    return {"runs": errors, "mean": np.mean(list(errors.values()))}


def _difference(one: dict[str, float], other: dict[str, float]) -> dict[str, Any]:
    """Test over runs of the errors of `one` minus those of `other`."""
    differences = {run: one[run] - other[run] for run in one}
    return {**mean_test(list(differences.values()), "run").model_dump(), "runs": differences}
