"""A pre-training and a continual pre-training that are only thought of, and the losses that laws predict for them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd

from cpt_dynamics import schedules
from cpt_dynamics.areas import AreaSettings, area_columns, history
from cpt_dynamics.errors import UserError
from cpt_dynamics.laws import Array, Features, Law
from cpt_dynamics.schedules import Schedule

KNOBS = ("potential", "peak_lr", "replay", "steps")
ROLES = ("general", "domain")


class Predictor(Protocol):
    """A law with its parameters: a `fitting.Fit`, or `Coefficients` from elsewhere."""

    @property
    def law(self) -> Law: ...

    @property
    def parameters(self) -> Mapping[str, float]: ...

    @property
    def settings(self) -> Mapping[str, Any]: ...

    def predict(self, features: Features) -> Array: ...


@dataclass(frozen=True)
class Coefficients:
    """A law with given parameters, such as printed ones. settings: how areas are made (see `curves.features`)."""

    law: Law
    parameters: Mapping[str, float]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def predict(self, features: Features) -> Array:
        """The law's value for every row, [n] (nats/token)."""
        return self.law.predict(self.parameters, features)


@dataclass(frozen=True)
class Pair:
    """The laws of the two losses that CPT trades against each other, on D_pt and on D_cpt."""

    general: Predictor
    domain: Predictor

    def roles(self) -> Mapping[str, Predictor]:
        """The laws by the names that results use for the two losses, `ROLES`."""
        return {"general": self.general, "domain": self.domain}


@dataclass(frozen=True)
class Scenario:
    """PT, then CPT. Schedules are in units of `peak_lr`, the peak LR of PT (see `schedules.Schedule`).

    warmup, rewarmup: steps of the linear rises at the starts of PT and of CPT. replay: share of D_pt text in
    CPT (r_pt). params: non-embedding parameters of the model.
    """

    pretraining: Schedule
    pretraining_steps: int
    continual: Schedule
    continual_steps: int
    peak_lr: float
    warmup: int = 0
    rewarmup: int = 0
    replay: float = 0.0
    params: float = float("nan")

    def __post_init__(self) -> None:
        if not 0 <= self.replay <= 1:
            raise UserError(f"replay is {self.replay:g}: it lies between 0 and 1")
        if not self.peak_lr > 0:
            raise UserError(f"peak_lr is {self.peak_lr:g}: it must be above 0")

    def with_knob(self, knob: str, value: float) -> "Scenario":
        """The scenario with one of `KNOBS` changed.

        potential: the last LR of PT over its peak (100 %: never annealed). peak_lr: the highest LR of CPT, in
        units of LR. replay: share of D_pt text. steps: of CPT.
        """
        if knob == "potential":
            return replace(self, pretraining=self.pretraining.model_copy(update={"end": float(value)}))
        if knob == "peak_lr":
            return replace(self, continual=self.continual.model_copy(update={"peak": float(value) / self.peak_lr}))
        if knob == "replay":
            return replace(self, replay=float(value))
        if knob == "steps":
            return replace(self, continual_steps=round(value))
        raise UserError(f"there is no knob {knob!r}: choose one of {', '.join(KNOBS)}")

    @cached_property
    def lr(self) -> Array:
        """LR used by every step, [steps of PT and CPT]."""
        first = schedules.lr(self.pretraining, self.pretraining_steps, self.peak_lr, self.warmup)
        last = float(first[-1])
        return np.concatenate(
            [first, schedules.lr(self.continual, self.continual_steps, self.peak_lr, self.rewarmup, last)]
        )

    @property
    def misfit(self) -> str:
        """Why there is no LR schedule for these lengths and peaks; "" if there is one."""
        try:
            _ = self.lr
        except UserError as error:
            return str(error)
        return ""

    def features(self, settings: Mapping[str, Any], steps: Any = None) -> pd.DataFrame:
        """What laws read, a row for each of the given steps (from 1; None: every step); see `features_of`."""
        return features_of(self.lr, self.pretraining_steps, settings, steps, self.replay, self.params)

    def curve(self, law: Predictor, steps: Any = None) -> Array:
        """Predicted loss at the given steps (None: every step), [n] (nats/token)."""
        return law.predict(self.features(law.settings, steps))

    def ends(self, law: Predictor) -> tuple[float, float]:
        """Predicted loss at the last step of PT and at the last step of CPT (nats/token)."""
        return self.outcome({"law": law})["law"]

    def outcome(self, laws: Mapping[str, Predictor]) -> dict[str, tuple[float, float]]:
        """`ends` of several laws; those with the same settings share the areas."""
        last = [self.pretraining_steps, self.pretraining_steps + self.continual_steps]
        made: list[tuple[Mapping[str, Any], pd.DataFrame]] = []
        result = {}
        for name, law in laws.items():
            table = next((t for settings, t in made if settings == law.settings), None)
            if table is None:
                table = self.features(law.settings, last)
                made.append((law.settings, table))
            before, after = law.predict(table).tolist()
            if not (math.isfinite(before) and math.isfinite(after)):
                lacking = [key for key in law.law.inputs if key == "params" and math.isnan(self.params)]
                remedy = "give the scenario `params`" if lacking else "check the law's parameters and the LR"
                raise UserError(f"law {law.law.name!r} predicts no finite loss for this scenario: {remedy}")
            result[name] = (before, after)
        return result


def features_of(
    lr: Array,
    pretraining_steps: int,
    settings: Mapping[str, Any],
    steps: Any = None,
    replay: float = 0.0,
    params: float = float("nan"),
) -> pd.DataFrame:
    """What laws read of a run with the given LR, a row for each of the given steps (from 1; None: every step).

    settings: those of a fit (see `areas.AreaSettings`).
    """
    made = AreaSettings.of(settings)
    past = history(lr, pretraining_steps, made.warmup)
    chosen = np.arange(1, len(lr) + 1) if steps is None else np.atleast_1d(np.asarray(steps, dtype=np.int64))
    before = pretraining_steps
    columns = area_columns(past, chosen, made.lambda_, made.carry_over, made.lr_power)
    return pd.DataFrame(
        {
            "step": chosen,
            "phase_step": np.where(chosen > before, chosen - before, chosen),
            "lr": lr[chosen - 1],
            **columns,
            "history": np.full(len(chosen), past, dtype=object),
            "settings": np.full(len(chosen), made, dtype=object),
            "replay": replay,
            "params": params,
        }
    )
