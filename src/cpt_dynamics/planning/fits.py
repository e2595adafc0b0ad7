"""The two fits that a plan is made from, with the refits that show how sure it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting import Fit, prediction_warnings
from cpt_dynamics.fitting.logged import read_fit
from cpt_dynamics.fitting.predictions import across_peaks, leaves, outside
from cpt_dynamics.fitting.uncertainty import band
from cpt_dynamics.laws import Array
from cpt_dynamics.planning.scenario import Pair, Scenario, features_of

SETS = {"general": "D_pt", "domain": "D_cpt"}
KNOWN = {"s1pt", "s2pt", "s1cpt", "s2cpt", "s2pt_lr", "s2cpt_lr", "history", "step", "replay", "params"}
SEEN = {"peak_lr": "peak_lr_cpt", "replay": "replay"}  # knobs whose values a fit keeps the range of
MOVED = {"steps": "s1cpt", "potential": "s2pt"}  # what other knobs move
OF_CPT = ("peak_lr_cpt", "replay", "s1cpt", "s2cpt", "s2cpt_lr")  # what does not count at the end of PT
Outside = dict[str, tuple[list[float], list[float]]]  # name -> the fitted range and the planned value


@dataclass(frozen=True, eq=False)
class FittedPair(Pair):
    """The two fits by role ("general", "domain"), their files, and their validation sets where the files tell.

    ensemble: refits of both without the same run, by that run; `reason` says why there are none. bands: half-widths
    and levels of the errors of curves left out, by role and kind ("end", "rows"), relative. ends: errors at the end of
    the curves left out, by role and run, relative; level: the one wanted.
    """

    general: Fit
    domain: Fit
    files: Mapping[str, str]
    validations: Mapping[str, str]
    ensemble: Mapping[str, Pair]
    reason: str = ""
    bands: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    ends: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    level: float = 0.9

    @classmethod
    def read(cls, general: str, domain: str) -> "FittedPair":
        """The fits of two files; `UserError` for one that does not predict losses of CPT from LR schedules."""
        names = {"general": general, "domain": domain}
        found, contents = {}, {}
        for role, path in names.items():
            found[role], contents[role] = read_fit(path)
            _check_law(found[role], path)
        if found["general"].data_hash == found["domain"].data_hash:
            raise UserError(f"{general} and {domain} are fits of the same losses: give one for each set")
        refits = {role: (c.get("left_out") or {}).get("curves", []) for role, c in contents.items()}
        ensemble, reason = _ensemble(found, refits)  # `fit --intervals` puts refits into its file
        validations = {role: str(c["validation"]) for role, c in contents.items() if c.get("validation")}
        bands = {role: _bands(content) for role, content in contents.items()}
        ends = {role: _ends(content) if bands[role] else {} for role, content in contents.items()}
        level = min([c["intervals"]["level"] for role, c in contents.items() if bands[role]], default=0.9)
        return cls(found["general"], found["domain"], names, validations, ensemble, reason, bands, ends, level)

    def roles(self) -> Mapping[str, Fit]:
        return {"general": self.general, "domain": self.domain}

    def reading(self, name: str) -> list[str]:
        """The roles whose law reads a feature."""
        return [role for role, found in self.roles().items() if name in found.law.inputs]

    def warnings(self) -> list[str]:
        """What the fits themselves warn of."""
        found = by_set({role: fit.warnings for role, fit in self.roles().items()})
        if self.general.parameters.get("B", 0.0) < 0 < self.domain.parameters.get("B", 0.0):
            found.append("CPT lowers the first loss and raises the second one: are the two files in the right order?")
        return found

    def described(self) -> list[str]:
        """One line for each fit."""
        return [
            f"{SETS[role]} loss{f' ({self.validations[role]})' if role in self.validations else ''}:"
            f" law {found.law.name}, {self.files[role]}"
            for role, found in self.roles().items()
        ]

    def to_json(self) -> dict[str, Any]:
        return {
            role: {
                "file": self.files[role],
                "validation": self.validations.get(role),
                "law": found.law.name,
                "parameters": found.parameters,
                "settings": found.settings,
            }
            for role, found in self.roles().items()
        }

    def warnings_of(self, scenario: Scenario, lr: Array | None = None) -> list[str]:
        """`fitting.prediction_warnings` of both laws over the CPT of a scenario. lr: of PT and CPT, if not its own."""
        rates, before = scenario.lr if lr is None else lr, scenario.pretraining_steps
        away = self.outside(scenario, rates)
        steps = np.arange(before, len(rates) + 1)
        return by_set(
            {
                role: [
                    *across_peaks(found, {name for ends in away.values() for name in ends[role]}),
                    *prediction_warnings(
                        found, features_of(rates, before, found.settings, steps, scenario.replay, scenario.params)
                    ),
                ]
                for role, found in self.roles().items()
            }
        )

    def fitted(self, knob: str) -> tuple[float, float] | None:
        """The values of the peak LR of CPT, or of the replay ratio, that both fits have seen; None if none tells."""
        known = [found.ranges[SEEN[knob]] for found in self.roles().values() if SEEN[knob] in found.ranges]
        return (max(low for low, _ in known), min(high for _, high in known)) if known else None

    def beyond(self, scenario: Scenario, knob: str, value: float) -> bool:
        """Whether a value of a knob lies outside of what was fitted."""
        if knob in SEEN:
            limits = self.fitted(knob)
            return limits is not None and leaves(SEEN[knob], limits, (value, value))
        there = scenario.with_knob(knob, value)
        return not there.misfit and any(MOVED[knob] in names for names in self.outside(there)["after"].values())

    def outside(self, scenario: Scenario, lr: Array | None = None) -> dict[str, dict[str, Outside]]:
        """What is outside of the fitted ranges at the end of PT ("before") and of CPT ("after"), by role.

        lr: of PT and CPT, if not the scenario's own.
        """
        rates, switch = scenario.lr if lr is None else lr, scenario.pretraining_steps
        result: dict[str, dict[str, Outside]] = {"before": {}, "after": {}}
        for end, step in (("before", switch), ("after", len(rates))):
            for role, found in self.roles().items():
                row = features_of(rates, switch, found.settings, [step], scenario.replay, scenario.params)
                names = outside(found, row)
                result[end][role] = {k: v for k, v in names.items() if end == "after" or k not in OF_CPT}
        return result

    def half_widths(self, weight: float, before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, Any]:
        """Bands of the losses and of the goal in nats/token, from curves left out; None where the fits have none.

        before: of the loss at the end of PT, a single row. after: at the end of CPT. goal: of the weighted errors at
        the end of CPT of the curves that both fits left out; the loss before CPT is taken as it is.
        """
        result: dict[str, Any] = {
            name: {role: self._half_width(role, kind, loss) for role, loss in losses.items()}
            for name, kind, losses in (("before", "rows", before), ("after", "end", after))
        }
        general, domain = (self.ends.get(role, {}) for role in SETS)
        common = [run for run in general if run in domain]
        goals = [weight * general[r] * after["general"] + (1 - weight) * domain[r] * after["domain"] for r in common]
        found = band(np.abs(goals), self.level) if goals else None
        result["goal"] = None if found is None else {"half_width": found.half_width, "level": found.level}
        return result

    def _half_width(self, role: str, kind: str, loss: float) -> dict[str, float] | None:
        width, level = self.bands.get(role, {}).get(kind, (None, 0.0))
        return None if width is None else {"half_width": width * loss, "level": level}


def _check_law(found: Fit, path: str) -> None:
    name, inputs = found.law.name, set(found.law.inputs)
    if found.law.residual != "log":
        raise UserError(f"{path}: law {name!r} gives a difference of losses: fit a law of losses, such as cpt")
    if inputs - KNOWN:
        raise UserError(f"{path}: law {name!r} reads {min(inputs - KNOWN)}, which no LR schedule gives: fit cpt")
    if not {"s1pt", "s1cpt"} <= inputs:
        raise UserError(f"{path}: law {name!r} does not read the LR of PT and of CPT: fit cpt to logs that hold both")


def _bands(content: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Half-widths and levels of the bands of a fit file; none where it has no intervals or errors in nats."""
    intervals, left_out = content.get("intervals"), content.get("left_out")
    if not intervals or not left_out or not left_out.get("relative", True):
        return {}
    known = {kind: intervals.get(kind) for kind in ("end", "rows")}
    return {
        kind: (one["half_width"], one["level"])
        for kind, one in known.items()
        if one and one["half_width"] is not None and one["level"] is not None
    }


def _ends(content: Mapping[str, Any]) -> dict[str, float]:
    """Errors at the end of the curves left out that count, relative, by run."""
    curves = content["left_out"].get("curves", [])
    known = {curve["group"]: curve.get("end_error") for curve in curves if not curve.get("lost")}
    return {run: error for run, error in known.items() if error is not None}


def _ensemble(found: Mapping[str, Fit], refits: Mapping[str, list[dict[str, Any]]]) -> tuple[dict[str, Pair], str]:
    """Pairs of refits without the same run, by that run; none, and why, where they cannot speak for an optimum."""
    without = [SETS[role] for role, curves in refits.items() if not curves]
    if without:
        return {}, (
            f"no interval: the fit of {' and of '.join(without)} holds no refits without single runs"
            " (fit --intervals makes them; they say something from three runs on)"
        )
    for role, curves in refits.items():
        for curve in curves:
            lost = ", ".join(curve["undetermined"])
            if lost:
                rest = f"the other runs do not determine {lost} ({SETS[role]})"
                return {}, f"no interval: without {curve['group']}, {rest}"
    by_run = {
        role: {c["group"]: replace(found[role], parameters={**c["parameters"]}) for c in curves}
        for role, curves in refits.items()
    }
    common = [run for run in by_run["general"] if run in by_run["domain"]]
    if len(common) < 2:
        return {}, "no interval: the two fits have fewer than two refits without the same run"
    return {run: Pair(by_run["general"][run], by_run["domain"][run]) for run in common}, ""


def by_set(lines: Mapping[str, Sequence[str]]) -> list[str]:
    """Lines by role as lines that begin with the sets that they are of; the same line of both sets is one."""
    found: dict[str, list[str]] = {}
    for role, texts in lines.items():
        for text in dict.fromkeys(texts):
            found.setdefault(text, []).append(SETS[role])
    return [f"{' and '.join(sets)}: {text}" for text, sets in found.items()]
