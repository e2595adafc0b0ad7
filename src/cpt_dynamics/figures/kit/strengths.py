"""The kit's own fitted laws by strength of the shift, and the scenario that Figs. 4, 8 and 13 apply them to."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from cpt_dynamics.config import Config, Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig03.result import Result as Fig03
from cpt_dynamics.figures.fig11.result import Result as Fig11
from cpt_dynamics.figures.fig12.result import Result as Fig12
from cpt_dynamics.figures.kit.latex import fixed
from cpt_dynamics.figures.kit.result import Parameters, Part
from cpt_dynamics.figures.kit.statement import sentence
from cpt_dynamics.fitting import Fit
from cpt_dynamics.planning import Pair, Predictor, Scenario
from cpt_dynamics.schedules import Schedule

ROLES = (Role.GENERAL, Role.STRONG)
STRENGTHS = ("strong", "moderate", "weak")
SOURCES = {
    "domain": "Fig. 3, CPT on the domain of strong shift",
    "replay": "Fig. 12, CPT on the same domain with 50 % replay",
    "weak_domain": "Fig. 11, CPT on the domain of weak shift, whose loss stands for D_cpt",
}
LONGER = 10  # times a forward area of CPT: where the limit of a shift should be near
FAR = 1.5  # times the shift there: a larger limit is not determined by the fit
PAPER_PRETRAINING = 40_000  # steps of PT in Figs. 8 and 13 of the paper, by which its lengths of CPT are scaled


class LawSummary(Part):
    """Coefficients and quality of one fit."""

    law: str
    parameters: Parameters
    r2: float | None
    r2_continual: float | None
    mean_relative_error: float | None
    warnings: list[str]

    @classmethod
    def of(cls, fit: Fit) -> "LawSummary":
        return cls(
            law=fit.law.name,
            parameters=fit.parameters,
            r2=fit.metrics["all"].get("r2"),
            r2_continual=fit.metrics["continual"].get("r2"),
            mean_relative_error=fit.metrics["all"].get("mean_relative_error"),
            warnings=fit.warnings,
        )


class PairSummary(Part):
    """The fits on D_pt and on D_cpt."""

    general: LawSummary
    domain: LawSummary


class StrengthSummary(PairSummary):
    """The fits of one strength of the shift."""

    source: str = Field(description="key of `SOURCES`")
    says: str
    shift: float = Field(description="on D_pt, at `at_area` (nats/token)")
    at_area: float = Field(description="the forward area of the scale's CPT at the peak LR")
    limit_determined: bool = Field(
        description="whether B, the limit of that shift, is near what it reaches at `LONGER` times that area; where it"
        " is not, the critical point L0 + B is not determined either"
    )


@dataclass(frozen=True)
class Strength:
    """The laws of one strength of the shift, and what `StrengthSummary` says of them."""

    pair: Pair
    summary: StrengthSummary


def fits_of_fig03(data: FigureData) -> dict[Role, Fit]:
    """The laws of D_pt and D_cpt that were fitted for Fig. 3."""
    found = data.result(Fig03).fits
    return {role: found[role].chosen.fit for role in ROLES}


def pair_of_fig03(data: FigureData) -> Pair:
    """The same as a pair."""
    return Pair(*fits_of_fig03(data).values())


def at_ratio(data: FigureData, ratio: str) -> tuple[Fit, Fit]:
    """The laws that were fitted for Fig. 12 at a replay ratio (in percent)."""
    fits = data.result(Fig12).fits
    if ratio not in fits:
        raise UserError(f"{data.layout.fit('fig12')} has no fits at {ratio} % replay: list runs of that ratio in fig12")
    return fits[ratio][Role.GENERAL].fit, fits[ratio][Role.STRONG].fit


def by_strength(data: FigureData) -> dict[str, Strength]:
    """Eq. 4 on D_pt and on D_cpt for three settings, named by the size of their shift on D_pt, the largest `strong`."""
    strong, weak = fits_of_fig03(data), data.result(Fig11).fits
    fits = {
        "domain": (strong[Role.GENERAL], strong[Role.STRONG]),
        "replay": at_ratio(data, "50"),
        "weak_domain": (weak[Role.GENERAL].fit, weak[Role.WEAK].fit),
    }
    area = data.config.lengths.continual * data.config.optimizer.peak_lr
    found = [
        Strength(
            Pair(general, domain),
            StrengthSummary(
                source=source,
                says=SOURCES[source],
                shift=shift(general, area),
                at_area=area,
                limit_determined=determined(general, area),
                general=LawSummary.of(general),
                domain=LawSummary.of(domain),
            ),
        )
        for source, (general, domain) in fits.items()
    ]
    ordered = sorted(found, key=lambda one: one.summary.shift, reverse=True)
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


def note(laws: Mapping[str, PairSummary]) -> str:
    """Where the laws of each strength of the shift come from, and the size of the shift, as LaTeX."""
    parts = [
        f"{name.capitalize()}: {sentence(one.says)} ({fixed(one.shift, 3).latex} nats)"
        for name, one in laws.items()
        if isinstance(one, StrengthSummary)
    ]
    return (
        r"Strengths are named by the size of the shift on \Dpt{} after the forward area of the scale's CPT at the"
        f" peak learning rate. {'. '.join(parts)}."
    )
