"""The kit's own fitted laws by strength of the shift, and the scenario that Figs. 4, 8 and 13 apply them to."""

from collections.abc import Mapping
from typing import Any

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting import Fit
from cpt_dynamics.planning import Pair, Scenario
from cpt_dynamics.schedules import Schedule

ROLES = ("general", "strong")
STRENGTHS = {
    "strong": "Fig. 3, CPT on the domain of strong shift",
    "moderate": "Fig. 12, CPT on the same domain with 50 % replay",
    "weak": "Fig. 11, CPT on the domain of weak shift, whose loss stands for D_cpt",
}
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


def by_strength(fits: Mapping[str, Any] | None) -> dict[str, Pair]:
    """Eq. 4 on D_pt and on D_cpt for the three strengths of the shift (see `STRENGTHS`)."""
    return {
        "strong": Pair(*(fit(fits, "fig03", role, "chosen") for role in ROLES)),
        "moderate": Pair(*(fit(fits, "fig12", "50", role) for role in ROLES)),
        "weak": Pair(*(fit(fits, "fig11", role) for role in ("general", "weak"))),
    }


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


def described(pairs: Mapping[str, Pair]) -> dict[str, Any]:
    """For each strength: where its laws come from, and the coefficients and R2 of the law of each loss."""
    return {
        name: {
            "source": STRENGTHS.get(name, name),
            **{role: coefficients(law) for role, law in pair.roles().items()},
        }
        for name, pair in pairs.items()
    }


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
