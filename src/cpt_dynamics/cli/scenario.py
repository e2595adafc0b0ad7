"""What the planning commands share: two fit files, and options that describe a pre-training and a CPT."""

import argparse
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from cpt_dynamics import schedules
from cpt_dynamics.cli import logs
from cpt_dynamics.cli.fit import read_fit
from cpt_dynamics.curves.expressions import parse
from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting import Fit, prediction_warnings
from cpt_dynamics.laws import Array
from cpt_dynamics.planning import Pair, Scenario, features_of
from cpt_dynamics.planning.schedule import Shape
from cpt_dynamics.schedules import DECAYS, Schedule

SETS = {"general": "D_pt", "domain": "D_cpt"}
KNOWN = {"s1pt", "s2pt", "s1cpt", "s2cpt", "s2pt_lr", "s2cpt_lr", "history", "step", "replay", "params"}
REWARMUP = 0.1  # of CPT, the most that the re-warm-up takes if its length is not given
TAIL = 0.2  # of a constant pre-training: the steps that decay where another loss potential is tried
SAME = 1e-9  # of the peak: how far a schedule may be from the one that planning turns it into


@dataclass(frozen=True, eq=False)
class Fits:
    """The two fits by role ("general", "domain"), their files, and their validation sets where the files tell.

    ensemble: refits of both without the same run, by that run; `reason` says why there are none.
    """

    general: Fit
    domain: Fit
    files: Mapping[str, str]
    validations: Mapping[str, str]
    ensemble: Mapping[str, Pair]
    reason: str = ""

    @property
    def pair(self) -> Pair:
        return Pair(self.general, self.domain)

    def roles(self) -> dict[str, Fit]:
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


@dataclass(frozen=True)
class Plan:
    """A pre-training as planning describes it: schedule, steps, peak LR (units of LR) and steps of warm-up."""

    schedule: Schedule
    steps: int
    peak_lr: float
    warmup: int = 0

    @property
    def lr(self) -> Array:
        """LR used by every step, [steps]."""
        return schedules.lr(self.schedule, self.steps, self.peak_lr, self.warmup)


# --- fits ---------------------------------------------------------------------------------------------------


def add_fits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("general", metavar="GENERAL_FIT.json", help="fit of the D_pt loss (`cpt-dynamics fit --out`)")
    parser.add_argument("domain", metavar="DOMAIN_FIT.json", help="fit of the D_cpt loss")


def read_fits(options: argparse.Namespace) -> Fits:
    """The fits that the options name; `UserError` for one that does not predict losses of CPT from LR schedules."""
    names = {"general": options.general, "domain": options.domain}
    found, contents = {}, {}
    for role, path in names.items():
        found[role], contents[role] = read_fit(path)
        _check_law(found[role], path)
    if found["general"].data_hash == found["domain"].data_hash:
        raise UserError(f"{names['general']} and {names['domain']} are fits of the same losses: give one for each set")
    try:
        ensemble, reason = _ensemble(found, {role: _refits(content) for role, content in contents.items()})
    except (AttributeError, KeyError, TypeError):
        both = " or ".join(names.values())
        raise UserError(f"the refits in {both} cannot be read: fit again") from None
    validations = {role: str(c["validation"]) for role, c in contents.items() if c.get("validation")}
    return Fits(**found, files=names, validations=validations, ensemble=ensemble, reason=reason)


def _check_law(found: Fit, path: str) -> None:
    name, inputs = found.law.name, set(found.law.inputs)
    if found.law.residual != "log":
        raise UserError(f"{path}: law {name!r} gives a difference of losses: fit a law of losses, such as cpt")
    if inputs - KNOWN:
        raise UserError(f"{path}: law {name!r} reads {min(inputs - KNOWN)}, which no LR schedule gives: fit cpt")
    if not {"s1pt", "s1cpt"} <= inputs:
        raise UserError(f"{path}: law {name!r} does not read the LR of PT and of CPT: fit cpt to logs that hold both")


def _refits(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The refits without single runs that `fit --intervals` puts into its file."""
    return list((content.get("left_out") or {}).get("curves", []))


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


# --- training -----------------------------------------------------------------------------------------------


def add_training(parser: argparse.ArgumentParser) -> Any:
    """Options of PT and CPT; returns their group."""
    group = parser.add_argument_group("training")
    group.add_argument(
        "--pretraining",
        required=True,
        metavar="EXPR",
        help="LR of pre-training (PT), such as 'warmup 500 to 2e-4; wsd 19500 to 2e-5 decay 0.2'",
    )
    group.add_argument(
        "--rewarmup", type=int, metavar="N", help="steps of the rise in CPT (default: as in PT, at most 10 %% of CPT)"
    )
    group.add_argument(
        "--replay", type=float, metavar="R", help="share of D_pt text in CPT (default: 0, unless chosen)"
    )
    group.add_argument("--params", type=float, metavar="N", help="non-embedding parameters, for laws that read them")
    return group


def scenario_of(
    options: argparse.Namespace,
    fits: Fits,
    steps: int,
    shape: Shape = "cosine",
    peak: float | Literal["last"] | None = None,
    end: float = 0.0,
    decay_share: float = 0.2,
) -> Scenario:
    """PT as in the options and a CPT of some steps; LRs in units of LR. peak: None takes that of PT."""
    _check(options, fits, steps)
    before = pretraining(options.pretraining)
    if not 0 <= end <= before.peak_lr:
        raise UserError(f"--end {end:g}: give an LR from 0 to the peak of PT, {before.peak_lr:g}")
    top: float | Literal["last"] = 1.0 if peak is None else peak if peak == "last" else peak / before.peak_lr
    rewarmup = min(before.warmup, int(REWARMUP * steps)) if options.rewarmup is None else options.rewarmup
    return Scenario(
        before.schedule,
        before.steps,
        Schedule(shape=shape, peak=top, end=end / before.peak_lr, decay_share=decay_share),
        steps,
        before.peak_lr,
        before.warmup,
        rewarmup,
        options.replay or 0.0,
        math.nan if options.params is None else options.params,
    )


def _check(options: argparse.Namespace, fits: Fits, steps: int) -> None:
    replay, params = options.replay, options.params
    if steps < 1:
        raise UserError(f"--steps {steps}: CPT needs at least one step")
    if options.rewarmup is not None and options.rewarmup < 0:
        raise UserError(f"--rewarmup {options.rewarmup}: give a number of steps from 0")
    if replay is not None and not 0 <= replay <= 1:
        raise UserError(f"--replay {replay:g}: give a share from 0 to 1")
    if replay and not fits.reading("replay"):
        raise UserError("--replay: neither law reads the replay ratio: fit cpt_replay_* to runs with several ratios")
    if params is None and fits.reading("params"):
        raise UserError("--params is missing: a law reads the number of non-embedding parameters")
    if params is not None and not params > 0:
        raise UserError(f"--params {params:g}: give a number above 0")


def pretraining(expression: str) -> Plan:
    """The PT of a schedule expression: at most a warm-up, a constant stretch and one decay, in this order.

    A constant LR becomes a decay to itself, so that its loss potential can be varied.
    """
    found = parse(expression)
    if found.pretraining_steps < len(found.lr):
        raise UserError("--pretraining describes pre-training alone: leave out what comes after `continual:`")
    if not found.lr.max() > 0:
        raise UserError("--pretraining: the LR is 0 at every step: give one above 0")
    for plan in _candidates(found.lr):
        if np.abs(plan.lr - found.lr).max() <= SAME * plan.peak_lr:
            return plan
    raise UserError(
        f"--pretraining {expression!r} is not a linear warm-up, a constant stretch and one decay"
        f" ({', '.join(DECAYS)}), none of them delayed, as planning needs it: give the nearest such schedule"
    )


def _candidates(lr: Array) -> Iterator[Plan]:
    """PTs with the first, highest and last LR of `lr`, [steps], one for each shape of decay."""
    steps, top, end = len(lr), float(lr.max()), float(lr[-1])
    at = np.flatnonzero(lr == top)
    warmup = int(at[0]) + 1 if at[0] else 0
    tail = steps - 1 - int(at[-1])
    if not tail and warmup < steps:
        share = min(max(TAIL, 1 / steps), 1 - warmup / steps)
        yield Plan(Schedule(shape="wsd", end=1.0, decay_share=share), steps, top, warmup)
    shapes = [decay for decay in DECAYS if end > 0 or decay != "exponential"] if tail else []
    for decay in shapes:
        if tail == steps - 1:  # falls from its first step on, from an LR that no step uses
            yield _decaying(decay, steps, _before(decay, lr), end, steps)
        yield _decaying(decay, steps, top, end, tail, warmup)


def _before(decay: str, lr: Array) -> float:
    """The LR from which a decay over all steps comes to `lr`."""
    if decay == "exponential":
        return float(lr[0] ** 2 / lr[1])
    left = float(DECAYS[decay](np.array([1 / len(lr)]), 1.0, 0.0)[0])  # of the fall, after the first step
    return float(lr[-1] + (lr[0] - lr[-1]) / left)


def _decaying(decay: str, steps: int, top: float, end: float, tail: int, warmup: int = 0) -> Plan:
    schedule = Schedule.model_validate({"shape": "wsd", "decay": decay, "end": end / top, "decay_share": tail / steps})
    return Plan(schedule, steps, top, warmup)


def described(scenarios: Sequence[Scenario], chosen: Collection[str]) -> list[str]:
    """PT, and what is the same in CPTs of several lengths, one line each. chosen: knobs that are not given."""
    scenario = scenarios[0]
    before, after, peak = scenario.pretraining, scenario.continual, scenario.peak_lr
    rises = " or ".join(f"{steps:,}" for steps in dict.fromkeys(one.rewarmup for one in scenarios))
    last = f", last LR {before.end * peak:g} (loss potential {100 * before.end:.3g} %)"
    if "potential" in chosen:
        last = f", {before.decay} decay over the last {100 * before.decay_share:.3g} %"
    rise = f"re-warm-up over {rises} steps" if rises != "0" else "no re-warm-up"
    if after.peak == "last":
        rise = "from the last LR of PT"
    elif "peak_lr" not in chosen:
        rise += f" to {after.peak * peak:g}"
    fall = "constant" if after.shape == "constant" else f"{after.shape} to an LR of {after.end * peak:g}"
    if after.shape == "wsd":
        fall += f" over the last {100 * after.decay_share:g} % of the steps"
    return [
        f"pre-training (PT): {scenario.pretraining_steps:,} steps, peak LR {peak:g}{last}",
        f"CPT: {rise}, then {fall}",
    ]


# --- results ------------------------------------------------------------------------------------------------


def add_results(parser: argparse.ArgumentParser) -> Any:
    """Where results go; returns the group of options."""
    group = parser.add_argument_group("results")
    group.add_argument("--plot", metavar="FILE", help="draw it: pdf, png or svg, by the name's ending")
    group.add_argument("--json", action="store_true", help="print JSON")
    return group


def check_plot(options: argparse.Namespace) -> None:
    """Raise `UserError` before any work if the figure could not be written."""
    logs.check_output(options.plot, "--plot", [options.general, options.domain], logs.PLOTS)


# --- what is doubtful ---------------------------------------------------------------------------------------


def plan_warnings(fits: Fits, scenario: Scenario, lr: Array | None = None) -> list[str]:
    """`fitting.prediction_warnings` of both laws over the CPT of a scenario. lr: of PT and CPT, if not its own."""
    rates, before = scenario.lr if lr is None else lr, scenario.pretraining_steps
    steps = np.arange(before, len(rates) + 1)
    found = {}
    for role, law in fits.roles().items():
        table = features_of(rates, before, law.settings, steps, scenario.replay, scenario.params)
        found[role] = prediction_warnings(law, table)
    return by_set(found)


def by_set(lines: Mapping[str, Sequence[str]]) -> list[str]:
    """Lines by role as lines that begin with the sets that they are of; the same line of both sets is one."""
    found: dict[str, list[str]] = {}
    for role, texts in lines.items():
        for text in dict.fromkeys(texts):
            found.setdefault(text, []).append(SETS[role])
    return [f"{' and '.join(sets)}: {text}" for text, sets in found.items()]
