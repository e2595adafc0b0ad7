"""The two fits that a plan is made from, with the refits that show how sure it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting import Fit, prediction_warnings
from cpt_dynamics.fitting.logged import read_fit
from cpt_dynamics.laws import Array
from cpt_dynamics.planning.scenario import Pair, Scenario, features_of

SETS = {"general": "D_pt", "domain": "D_cpt"}
KNOWN = {"s1pt", "s2pt", "s1cpt", "s2cpt", "s2pt_lr", "s2cpt_lr", "history", "step", "replay", "params"}


@dataclass(frozen=True, eq=False)
class FittedPair(Pair):
    """The two fits by role ("general", "domain"), their files, and their validation sets where the files tell.

    ensemble: refits of both without the same run, by that run; `reason` says why there are none.
    """

    general: Fit
    domain: Fit
    files: Mapping[str, str]
    validations: Mapping[str, str]
    ensemble: Mapping[str, Pair]
    reason: str = ""

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
        return cls(**found, files=names, validations=validations, ensemble=ensemble, reason=reason)

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
        steps = np.arange(before, len(rates) + 1)
        return by_set(
            {
                role: prediction_warnings(
                    found, features_of(rates, before, found.settings, steps, scenario.replay, scenario.params)
                )
                for role, found in self.roles().items()
            }
        )


def _check_law(found: Fit, path: str) -> None:
    name, inputs = found.law.name, set(found.law.inputs)
    if found.law.residual != "log":
        raise UserError(f"{path}: law {name!r} gives a difference of losses: fit a law of losses, such as cpt")
    if inputs - KNOWN:
        raise UserError(f"{path}: law {name!r} reads {min(inputs - KNOWN)}, which no LR schedule gives: fit cpt")
    if not {"s1pt", "s1cpt"} <= inputs:
        raise UserError(f"{path}: law {name!r} does not read the LR of PT and of CPT: fit cpt to logs that hold both")


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
