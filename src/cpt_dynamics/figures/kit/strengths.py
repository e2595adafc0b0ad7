"""The kit's own fitted laws by strength of the shift, and the scenario that Figs. 4, 8 and 13 apply them to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting import Fit
from cpt_dynamics.planning import Pair, Predictor, Scenario
from cpt_dynamics.schedules import Schedule

ROLES = ("general", "strong")
STRENGTHS = ("strong", "moderate", "weak")
SOURCES = {
    "domain": "Fig. 3, CPT on the domain of strong shift",
    "replay": "Fig. 12, CPT on the same domain with 50 % replay",
    "weak_domain": "Fig. 11, CPT on the domain of weak shift, whose loss stands for D_cpt",
}
LONGER = 10  # times a forward area of CPT: where the limit of a shift should be near
FAR = 1.5  # times the shift there: a larger limit is not determined by the fit
PAPER_PRETRAINING = 40_000  # steps of PT in Figs. 8 and 13 of the paper, by which its lengths of CPT are scaled


def fit(fits: Mapping[str, Any] | None, figure: str, *keys: str) -> Fit:
    """A fit that another figure found, at `fits[figure]["fits"][keys[0]]...["fit"]`; `UserError` if it is not there."""
    found: Any = (fits or {}).get(figure)
    if found is None:
        raise UserError(f"the fits of {figure} are missing: analyse it first, and list it under `needs`")
    for key in ("fits", *keys, "fit"):
        if not isinstance(found, Mapping) or key not in found:
            raise UserError(f"the result of {figure} has no {'.'.join(('fits', *keys, 'fit'))}: analyse it again")
        found = found[key]
    return Fit.from_json(found)


@dataclass(frozen=True)
class Strength:
    """The laws of one strength of the shift. source: key of `SOURCES`. shift: on D_pt, at `area` (nats/token).

    determined: whether B, the limit of that shift, is near what it reaches at `LONGER` times that forward area; where
    it is not, the critical point L0 + B is not determined either.
    """

    pair: Pair
    source: str
    area: float
    shift: float
    determined: bool


def by_strength(fits: Mapping[str, Any] | None, config: Config) -> dict[str, Strength]:
    """Eq. 4 on D_pt and on D_cpt for three settings, named by the size of their shift on D_pt, the largest `strong`.

    The size is that after the forward area of the scale's CPT at the peak LR.
    """
    pairs = {
        "domain": Pair(*(fit(fits, "fig03", role, "chosen") for role in ROLES)),
        "replay": Pair(*(fit(fits, "fig12", "50", role) for role in ROLES)),
        "weak_domain": Pair(*(fit(fits, "fig11", role) for role in ("general", "weak"))),
    }
    area = config.lengths.continual * config.optimizer.peak_lr
    found = [
        Strength(pair, source, area, shift(pair.general, area), determined(pair.general, area))
        for source, pair in pairs.items()
    ]
    ordered = sorted(found, key=lambda one: one.shift, reverse=True)
    return dict(zip(STRENGTHS, ordered, strict=True))


def shift(general: Predictor, s1cpt: float) -> float:
    """The shift term of a law after a forward area of CPT (nats/token)."""
    areas = {"s1pt": np.ones(1), "s2pt": np.zeros(1), "s2cpt": np.zeros(1)}
    moved = general.predict({**areas, "s1cpt": np.full(1, s1cpt)})
    stayed = general.predict({**areas, "s1pt": np.full(1, 1 + s1cpt), "s1cpt": np.zeros(1)})
    return float(moved[0] - stayed[0])


def determined(general: Predictor, s1cpt: float) -> bool:
    """Whether the limit B of the shift is near what the shift reaches at `LONGER` times a forward area."""
    return bool(abs(general.parameters["B"]) <= FAR * abs(shift(general, LONGER * s1cpt)))


def scenario(config: Config) -> Scenario:
    """PT with WSD to 10 % of its peak, then CPT with a cosine from that peak to zero, in the scale's lengths."""
    lengths = config.lengths
    return Scenario(
        pretraining=Schedule(shape="wsd", end=0.1),
        pretraining_steps=lengths.pretraining,
        continual=Schedule(shape="cosine"),
        continual_steps=lengths.continual,
        peak_lr=config.optimizer.peak_lr,
        warmup=lengths.warmup,
        rewarmup=lengths.rewarmup,
    )


def scaled(steps: int, config: Config) -> int:
    """Steps of the paper's Figs. 8 and 13 in the same ratio to the scale's pre-training."""
    return max(1, round(steps * config.lengths.pretraining / PAPER_PRETRAINING))


def described(strengths: Mapping[str, Strength]) -> dict[str, Any]:
    """For each strength: where its laws come from, the size of its shift, and both laws' coefficients and R2."""
    return {
        name: {
            "source": one.source,
            "says": SOURCES[one.source],
            "shift": one.shift,
            "at_area": one.area,
            "limit_determined": one.determined,
            **of_pair(one.pair),
        }
        for name, one in strengths.items()
    }


def of_pair(pair: Pair) -> dict[str, Any]:
    """Coefficients and quality of both laws."""
    return {role: coefficients(law) for role, law in pair.roles().items()}


def coefficients(law: Any) -> dict[str, Any]:
    """Coefficients and quality of one fit."""
    return {
        "law": law.law.name,
        "parameters": dict(law.parameters),
        "r2": law.metrics["all"].get("r2"),
        "r2_continual": law.metrics["continual"].get("r2"),
        "mean_relative_error": law.metrics["all"].get("mean_relative_error"),
        "warnings": list(law.warnings),
    }
