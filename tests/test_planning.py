"""Planning: optima, turning lengths, mixture ratios, schedules and losses on third corpora, against brute force."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cpt_dynamics.areas import areas
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.kit import published
from cpt_dynamics.laws import Features, Law, get
from cpt_dynamics.planning import (
    Coefficients,
    Pair,
    Predictor,
    Scan,
    Scenario,
    area_gradients,
    critical_mixture_ratio,
    critical_point,
    default_values,
    features_of,
    fit_ood,
    grid,
    optimise,
    optimum,
    scan,
    turning_length,
    turning_lengths,
)
from cpt_dynamics.planning import schedule as planned
from cpt_dynamics.schedules import Schedule

PUBLISHED = Path(__file__).parents[1] / "data" / "published" / "coefficients.yaml"
SETTINGS = {"lambda": 0.99}
# A short run with the areas of the paper's long ones: S1pt about 8.
SHORT = Scenario(Schedule(shape="wsd", end=0.1), 1000, Schedule(shape="cosine", peak=0.5), 300, 8e-3, rewarmup=20)


def cpt(parameters: Mapping[str, float | None], law: str = "cpt") -> Coefficients:
    given = {name: value for name, value in parameters.items() if value is not None}
    return Coefficients(get(law), given, SETTINGS)


@cache
def printed(figure: str) -> Pair:
    general, domain = (published.find(figure, role, path=PUBLISHED) for role in ("general", "strong"))
    return Pair(cpt(general.parameters), cpt(domain.parameters))


@cache
def weak() -> Pair:
    """Fig. 12 at 67 % replay, the weak shift of Figs. 8 and 13."""
    items = [item for item in published.load(PUBLISHED) if item.setting == "A replay 67 %"]
    return Pair(*(cpt(next(i for i in items if i.role == role).parameters) for role in ("general", "strong")))


def mixed(beta: float = 0.3, a2: float = 3.238) -> Pair:
    """Eq. 8 with the coefficients of Fig. 19; beta is not printed, so it is made up here."""
    general, domain = (published.find("fig19", role, path=PUBLISHED).parameters for role in ("general", "strong"))
    return Pair(
        cpt({**general, "beta": beta, "a2": a2}, law="cpt_replay_general"),
        cpt({**domain, "beta": 1e-3}, law="cpt_replay_domain"),
    )


# --- optimum


def test_scan_is_the_laws_evaluated_one_by_one() -> None:
    pair, values = printed("fig03"), [6e-3, 1e-3, 3e-3]
    found = scan(pair, SHORT, "peak_lr", values)
    assert found.values.tolist() == sorted(values)
    for i, value in enumerate(found.values):
        for role, law in pair.roles().items():
            before, after = SHORT.with_knob("peak_lr", value).ends(law)
            assert (found.before[role][i], found.after[role][i]) == (before, after)
    expected = 0.3 * found.change("general") + 0.7 * found.change("domain")
    assert found.objective(0.3) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("knob", "weight", "scenario"),
    [
        ("peak_lr", 0.1, SHORT),
        ("peak_lr", 0.3, SHORT),
        ("potential", 0.9, replace(SHORT, continual=Schedule(shape="cosine", peak="last"))),
    ],
)
def test_optimum_is_the_best_of_a_dense_grid(knob: str, weight: float, scenario: Scenario) -> None:
    pair = printed("fig03")
    found = optimum(pair, scenario, knob, weight)
    assert found.interior
    assert found.warning == ""
    width = (default_values(scenario, knob)[1] - default_values(scenario, knob)[0]) * 1.1
    dense = scan(pair, scenario, knob, np.linspace(found.value - width, found.value + width, 301).clip(0))
    objective = dense.objective(weight)
    assert found.objective <= objective.min() + 1e-9
    assert found.value == pytest.approx(dense.values[np.argmin(objective)], abs=width / 50)
    exact = scan(pair, scenario, knob, [found.value])
    assert found.objective == exact.objective(weight)[0]
    assert found.changes == {role: exact.change(role)[0] for role in ("general", "domain")}


def test_the_parabola_of_a_scan_comes_closer_to_the_refined_optimum_on_a_finer_grid() -> None:
    pair, step = printed("fig03"), 0.05 * SHORT.peak_lr
    refined = optimum(pair, SHORT, "peak_lr", 0.2)
    misses = []
    for fineness in (1, 4):
        values = np.arange(refined.value - 3.4 * step, refined.value + 4 * step, step / fineness)
        best = scan(pair, SHORT, "peak_lr", values).best(0.2)
        misses.append(abs(best.value - refined.value))
        exact = scan(pair, SHORT, "peak_lr", [best.value])
        assert best.objective == pytest.approx(exact.objective(0.2)[0], abs=1e-5)
        assert best.changes == pytest.approx({r: exact.change(r)[0] for r in best.changes}, abs=1e-4)
    assert misses[0] < 0.1 * step
    assert misses[1] < misses[0] / 4


def test_the_parabola_is_exact_for_parabolas_on_uneven_grids() -> None:
    x = np.array([0.0, 0.5, 2.0, 3.5, 4.0])
    after = {"general": (x - 2.3) ** 2, "domain": 2 * (x - 2.3) ** 2 + 1}
    best = Scan("peak_lr", x, {role: np.zeros(5) for role in after}, after).best(0.25)
    assert best.value == pytest.approx(2.3, abs=1e-12)
    assert best.objective == pytest.approx(0.75, abs=1e-12)
    assert best.changes == pytest.approx({"general": 0.0, "domain": 1.0}, abs=1e-12)


@pytest.mark.parametrize("figure", ["fig03", "fig11"])
def test_a_higher_weight_on_the_general_loss_never_asks_for_a_higher_peak(figure: str) -> None:
    found = scan(printed(figure), SHORT, "peak_lr")
    peaks = [found.best(weight).value for weight in np.linspace(0, 1, 21)]
    assert all(b <= a * (1 + 1e-9) for a, b in pairwise(peaks))
    assert peaks[0] > 2 * peaks[-1]


def test_a_stronger_shift_asks_for_a_lower_peak_at_equal_weights() -> None:
    # Fig. 8b: strong Fig. 11, moderate Fig. 3, weak Fig. 12 at 67 % replay
    strong, moderate, light = (
        scan(pair, SHORT, "peak_lr").best(0.4).value for pair in (printed("fig11"), printed("fig03"), weak())
    )
    assert strong < moderate < light


@hypothesis_settings(max_examples=30, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 10**6))
def test_more_weight_on_a_loss_never_makes_its_change_larger(first: float, second: float, seed: int) -> None:
    chance = np.random.default_rng(seed)
    after = {role: chance.normal(size=12) for role in ("general", "domain")}
    found = Scan("peak_lr", np.arange(12.0), {role: np.zeros(12) for role in after}, after)
    low, high = sorted((first, second))
    general = [found.change("general")[np.argmin(found.objective(weight))] for weight in (low, high)]
    assert general[1] <= general[0] + 1e-12


def test_an_optimum_at_an_end_is_said() -> None:
    pair = printed("fig03")
    low = optimum(pair, SHORT, "peak_lr", 1.0)
    assert not low.interior
    assert low.value == pytest.approx(0.05 * SHORT.peak_lr)
    assert "lower end of the scanned range" in low.warning
    assert "may lie outside" in low.warning
    natural = optimum(pair, SHORT, "potential", 0.5)
    assert natural.value == 1.0
    assert "upper end" in natural.warning
    assert "beyond which there is none" in natural.warning


def test_changes_favour_an_unannealed_checkpoint_where_final_losses_favour_an_annealed_one() -> None:
    scenario = replace(SHORT, continual=Schedule(shape="cosine", peak=0.2), rewarmup=0)
    found = scan(weak(), scenario, "potential")
    assert found.objective(1.0, "final") == pytest.approx(found.after["general"], abs=1e-15)
    assert optimum(weak(), scenario, "potential", 1.0, measure="change").value == 1.0
    assert optimum(weak(), scenario, "potential", 1.0, measure="final").value == 0.0
    best = grid(weak(), scenario, {"potential": [0.0, 0.5, 1.0]}, 1.0, measure="final")
    assert (best.values["potential"], best.objective) == (0.0, found.after["general"][0])
    peak = scan(printed("fig03"), SHORT, "peak_lr")  # a knob of CPT leaves the losses before it alone
    assert peak.best(0.2, "final").value == pytest.approx(peak.best(0.2, "change").value, rel=1e-9)


def test_flat_is_the_stretch_around_the_best_within_the_tolerance() -> None:
    found = scan(printed("fig03"), SHORT, "peak_lr")
    objective = found.objective(0.2)
    low, high = found.flat(0.2, 2e-3)
    inside = (found.values >= low) & (found.values <= high)
    assert np.all(objective[inside] <= objective.min() + 2e-3)
    for edge in (np.flatnonzero(inside)[0] - 1, np.flatnonzero(inside)[-1] + 1):
        assert objective[edge] > objective.min() + 2e-3
    assert found.flat(0.2, 1e9) == (found.values[0], found.values[-1])


def scaled(pair: Pair, **factors: float) -> Pair:
    general = {name: value * factors.get(name, 1.0) for name, value in pair.general.parameters.items()}
    return Pair(Coefficients(pair.general.law, general, pair.general.settings), pair.domain)


def test_an_ensemble_gives_the_range_of_its_optima() -> None:
    pair = printed("fig03")
    members = [scaled(pair, B=factor) for factor in (0.8, 1.0, 1.3)]
    found = optimum(pair, SHORT, "peak_lr", 0.3, ensemble=members)
    single = [optimum(member, SHORT, "peak_lr", 0.3).value for member in members]
    assert found.interval == (min(single), max(single))
    assert found.interval[0] < found.value < found.interval[1]
    assert "3 refitted pairs" in found.reason
    assert "not a confidence interval" in found.reason
    alone = optimum(pair, SHORT, "peak_lr", 0.3)
    assert alone.interval is None
    assert alone.reason.startswith("no interval")
    edge = optimum(pair, SHORT, "peak_lr", 0.3, ensemble=[scaled(pair, B=4.0), pair])
    assert "1 of them at an end" in edge.reason


def test_grid_is_the_best_of_all_combinations() -> None:
    pair, weight = printed("fig03"), 0.25
    knobs: dict[str, list[float]] = {"peak_lr": [1e-3, 2e-3, 4e-3], "potential": [0.0, 0.3, 1.0], "steps": [150, 300]}
    found = grid(pair, SHORT, {**knobs}, weight, tolerance=0.01)
    best: dict[tuple[float, ...], float] = {}
    for peak in knobs["peak_lr"]:
        for potential in knobs["potential"]:
            for steps in knobs["steps"]:
                one = SHORT.with_knob("peak_lr", peak).with_knob("potential", potential).with_knob("steps", steps)
                changes = [one.ends(law)[1] - one.ends(law)[0] for law in pair.roles().values()]
                best[peak, potential, steps] = weight * changes[0] + (1 - weight) * changes[1]
    chosen = min(best, key=lambda key: best[key])
    assert tuple(found.values.values()) == chosen
    assert found.objective == pytest.approx(best[chosen], abs=1e-14)
    assert len(found.table) == 18
    assert found.skipped == 0
    assert found.changes == {r: b - a for r, (a, b) in found.scenario.outcome(pair.roles()).items()}
    low, high = found.flat["peak_lr"]
    near = [p for p in knobs["peak_lr"] if best[(p, *chosen[1:])] <= best[chosen] + 0.01]
    assert (low, high) == (min(near), max(near))
    assert set(found.edges) == {k for k, v in found.values.items() if v in (min(knobs[k]), max(knobs[k]))}


def test_grid_leaves_out_combinations_without_a_schedule_and_says_so() -> None:
    scenario = replace(SHORT, continual=Schedule(shape="cosine", peak="last", end=0.2))
    found = grid(printed("fig03"), scenario, {"potential": [0.1, 0.2, 0.5], "steps": [300]}, 0.5)
    assert found.skipped == 1
    assert "schedule.end" in found.skipped_reason
    assert found.values["potential"] >= 0.2
    assert default_values(scenario, "potential")[0] == pytest.approx(0.2)


def test_replay_is_scanned_with_laws_that_read_it() -> None:
    pair = mixed()
    assert optimum(pair, SHORT, "replay", 0.2).value == 0.0
    assert optimum(pair, SHORT, "replay", 1.0).value == pytest.approx(0.95)
    assert scan(pair, SHORT, "replay", [1.0]).change("general")[0] < 0  # the hidden PT curve goes on falling


# --- turning


def rises(law: Predictor, scenario: Scenario, lengths: range) -> np.ndarray:
    ends = [scenario.with_knob("steps", steps).ends(law) for steps in lengths]
    return np.array([after - before for before, after in ends])


RETURNING = replace(SHORT, pretraining=Schedule(shape="wsd", end=0.0), rewarmup=10)
TURNING = {
    "back": (weak(), replace(RETURNING, continual=Schedule(shape="cosine")), 11),
    # With the weight 0.955..., the objective is back at 215 steps, above its start from 216 on, and back at 226.
    "decay in rounded steps": (
        weak(),
        replace(
            RETURNING,
            pretraining=Schedule(shape="wsd", end=0.05),
            continual=Schedule(shape="wsd", peak=0.6, decay_share=0.1),
        ),
        11,
    ),
    "not risen": (weak(), replace(SHORT, rewarmup=0), 1),
    "not back": (printed("fig11"), SHORT, 21),
}


@pytest.mark.parametrize("name", TURNING)
def test_turning_length_is_the_first_return_over_every_length(name: str) -> None:
    pair, scenario, first = TURNING[name]
    lengths = range(first, 301)
    assert scenario.with_knob("steps", first - 1).misfit
    general, domain = (rises(law, scenario, lengths) for law in (pair.general, pair.domain))
    weights = (None, 0.5, 0.9551724137931035, 0.97, 1.0)
    found = turning_lengths(pair, scenario, 300, weights)
    for weight, turning in zip(weights, found, strict=True):
        values = general if weight is None else weight * general + (1 - weight) * domain
        risen = np.flatnonzero(values > 1e-12)
        back = np.flatnonzero(values[risen[0] :] <= 0) + risen[0] if len(risen) else np.array([])
        expected = 0 if not len(risen) else lengths[int(back[0])] if len(back) else None
        assert turning.steps == expected
        assert turning.highest <= max(values.max(), 0) + 1e-15
    alone = turning_length(pair.general, scenario, 300)
    assert alone == found[0]
    kinds = {turning.steps for turning in found}
    assert (kinds == {0}) if name == "not risen" else (None in kinds) if name == "not back" else kinds & set(lengths)


def test_the_loss_is_back_at_its_turning_length_and_not_a_step_before() -> None:
    pair, scenario, _ = TURNING["back"]
    found = turning_length(pair, scenario, 1000)
    assert found.steps is not None
    for steps, back in ((found.steps - 1, False), (found.steps, True)):
        before, after = scenario.with_knob("steps", steps).ends(pair.general)
        assert (after <= before) == back
    assert f"after {found.steps} steps" in found.reason


def test_critical_point_is_the_limit_of_the_law() -> None:
    pair = printed("fig03")
    assert critical_point(pair.general) == pytest.approx(3.057 + 0.366)
    slow = {"L0": 3.0, "A": 0.5, "alpha": 0.5, "B": 0.2, "E": 30.0, "beta": 2.0, "C1": 0.3, "C2": 0.3}
    far = cpt(slow).predict({"s1pt": [8.0], "s2pt": [0.0], "s1cpt": [1e9], "s2cpt": [0.0]})[0]
    assert far == pytest.approx(critical_point(cpt(slow)), abs=1e-4)
    law = mixed().general
    parameters = law.parameters
    expected = parameters["L0"] + parameters["B"] * (1 - np.exp(-parameters["a2"] * 0.25))
    assert critical_point(law, replay=0.75) == pytest.approx(expected)
    assert critical_point(law, replay=1.0) == parameters["L0"]
    log = cpt({**pair.general.parameters, "beta": None}, law="cpt_log")
    assert critical_point(log) == float("inf")


def test_a_law_that_never_comes_back_is_told_from_one_that_may() -> None:
    never = turning_length(printed("fig03"), SHORT, 400)
    assert never.steps is None
    assert never.infinite
    assert "never is" in never.reason
    slow = cpt({"L0": 3.0, "A": 0.5, "alpha": 0.5, "B": 0.03, "E": 30.0, "beta": 2.0, "C1": 0.3, "C2": 0.0})
    short = turning_length(slow, SHORT, 100)
    assert short.steps is None
    assert not short.infinite
    later = turning_length(slow, SHORT, 3000)
    assert later.steps is not None
    assert later.steps > 100


def test_infinite_holds_at_lengths_far_beyond_those_tried() -> None:
    law = printed("fig03").general
    assert turning_length(law, SHORT, 400).infinite
    for steps in (1000, 10_000, 300_000):
        before, after = SHORT.with_knob("steps", steps).ends(law)
        assert after > before


def test_a_loss_that_never_rises_has_turning_length_zero() -> None:
    found = turning_length(printed("fig03"), SHORT, 200, weight=0.0)
    assert (found.steps, found.infinite, found.highest) == (0, False, 0.0)


# --- critical mixture ratio


@pytest.mark.parametrize("cap", [0.0, 0.02, 0.05, 0.09])
def test_the_critical_ratio_is_where_the_law_meets_the_cap(cap: float) -> None:
    pair = mixed()
    found = critical_mixture_ratio(pair, SHORT, cap, "end")
    assert found.ratio is not None
    assert found.binding
    below, above = (
        np.subtract(*SHORT.with_knob("replay", 1 - found.ratio - step).ends(pair.general)[::-1]) for step in (0, 1e-6)
    )
    assert below <= cap < above
    assert found.changes["general"] == pytest.approx(cap, abs=1e-6)
    dense = [r for r in np.linspace(0, 1, 201) if _feasible(pair, r, cap, "end")]
    assert max(dense) <= found.ratio < max(dense) + 1 / 200


def _feasible(pair: Pair, share: float, cap: float, when: str) -> bool:
    scenario = SHORT.with_knob("replay", 1 - share)
    start = scenario.pretraining_steps
    losses = scenario.curve(pair.general, np.arange(start, start + scenario.continual_steps + 1))
    losses = losses - losses[0]
    domain = scenario.ends(pair.domain)
    after = losses[-1:] if when == "end" else losses[np.argmax(losses) :]
    return bool(after.min() <= cap and domain[1] < domain[0])


@dataclass(frozen=True)
class Wave:
    """A made-up loss that rises, comes back and rises again, the more the less replay."""

    law: Law = field(default_factory=lambda: get("cpt_replay_general"))
    parameters: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def predict(self, features: Features) -> np.ndarray:
        done = np.where(np.asarray(features["s1cpt"]) > 0, np.asarray(features["phase_step"]) / 300, 0.0)
        shape = np.interp(done, [0, 0.2, 0.6, 1.0], [0.0, 1.0, 0.2, 0.8])
        return 3 + shape * (1 - np.asarray(features["replay"], dtype=np.float64))


def test_any_step_admits_a_loss_that_came_back_and_left_again_but_not_one_that_has_yet_to_rise() -> None:
    pair = Pair(Wave(), mixed().domain)
    anytime = critical_mixture_ratio(pair, SHORT, 0.05, "any")
    at_the_end = critical_mixture_ratio(pair, SHORT, 0.05, "end")
    assert anytime.ratio == pytest.approx(0.05 / 0.2, rel=1e-6)
    assert at_the_end.ratio == pytest.approx(0.05 / 0.8, rel=1e-6)
    assert anytime.highest == pytest.approx(0.25, rel=1e-6)
    for share in (0.1, 0.2, 0.35, 0.6):
        found = critical_mixture_ratio(mixed(), SHORT, 0.02, "any", shares=[share])
        assert (found.ratio is not None) == _feasible(mixed(), share, 0.02, "any")


def test_a_larger_cap_never_lowers_the_ratio_and_ends_at_every_share() -> None:
    ratios = [critical_mixture_ratio(mixed(), SHORT, cap, "end").ratio or 0.0 for cap in (0.0, 0.03, 0.06, 0.2)]
    assert ratios == sorted(ratios)
    free = critical_mixture_ratio(mixed(), SHORT, 0.2)
    assert (free.ratio, free.binding) == (1.0, False)
    assert "every share" in free.reason
    none = critical_mixture_ratio(mixed(), SHORT, -1.0)
    assert none.ratio is None
    assert none.binding
    assert "no share is feasible" in none.reason
    assert np.isnan(none.highest)


def test_a_domain_loss_that_does_not_fall_makes_a_share_infeasible() -> None:
    pair = mixed()
    rising = cpt({**pair.domain.parameters, "B": 0.5}, law="cpt_replay_domain")
    found = critical_mixture_ratio(Pair(pair.general, rising), SHORT, 0.2)
    assert found.ratio is not None
    assert found.ratio < 1
    assert not found.binding
    assert "the D_cpt loss does not fall" in found.reason


def test_the_interval_of_the_ratio_is_the_range_of_the_ensemble() -> None:
    members = [mixed(a2=a2) for a2 in (2.5, 3.238, 4.0)]
    found = critical_mixture_ratio(mixed(), SHORT, 0.05, "end", ensemble=members)
    single = [critical_mixture_ratio(member, SHORT, 0.05, "end").ratio for member in members]
    known = [ratio for ratio in single if ratio is not None]
    assert found.interval == (min(known), max(known))
    assert found.interval[0] < found.interval[1]
    without = critical_mixture_ratio(mixed(), SHORT, 0.05, "end")
    assert without.interval is None
    assert without.interval_reason.startswith("no interval")
    impossible = scaled(mixed(), B=50.0)
    mixed_in = critical_mixture_ratio(mixed(), SHORT, 0.05, "end", shares=[0.1], ensemble=[mixed(), impossible])
    assert mixed_in.interval is None
    assert "1 of 2" in mixed_in.interval_reason


# --- schedule


@pytest.mark.parametrize("power", [0.0, 0.1])
@pytest.mark.parametrize("carry_over", [True, False])
def test_the_annealing_area_and_its_gradient_are_those_of_the_areas(power: float, carry_over: bool) -> None:
    chance = np.random.default_rng(0)
    lr, before = chance.uniform(0.1, 1, 90), 50
    reference = areas(lr, before, 0.9, carry_over=carry_over, lr_power=power)
    plain = areas(lr, before, 0.9)
    momentum = float(plain.s2pt[before - 1] - plain.s2pt[before - 2]) if carry_over else 0.0
    value, slopes = area_gradients(lr[before:], lr[before - 1], momentum, 0.9, power)
    assert value == pytest.approx(reference.s2cpt[-1], abs=1e-12)
    step = 1e-6
    for j in range(40):
        ends = []
        for sign in (1, -1):
            moved = lr[before:].copy()
            moved[j] += sign * step
            ends.append(area_gradients(moved, lr[before - 1], momentum, 0.9, power)[0])
        assert slopes[j] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-7)


PROBLEMS = {
    "pair": (printed("fig03"), SHORT, 0.4),
    "carried momentum, no re-warm-up": (printed("fig11"), replace(SHORT, rewarmup=0), 0.2),
    "replay": (mixed(), replace(SHORT, replay=0.4), 0.5),
}


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("peak", [0.02, 0.6])  # below and above the last LR of PT
def test_the_gradient_of_the_search_is_that_of_finite_differences(name: str, peak: float) -> None:
    pair, scenario, weight = PROBLEMS[name]
    problem = planned._Problem(
        planned._Objective.of(pair, scenario, weight), planned._Curve.of(scenario, 1e-5, scenario.peak_lr, 12)
    )
    point = np.random.default_rng(1).uniform(0.1, 0.9, 14)
    point[0] = peak
    value, gradient = problem.value(point)
    step = 1e-6
    for i in range(14):
        ends = [problem.value(point + sign * step * np.eye(14)[i])[0] for sign in (1, -1)]
        assert gradient[i] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-8)
    # and the value is that of the scenario's own areas
    lr = np.concatenate([scenario.lr[: scenario.pretraining_steps], problem.curve.lr(point)])
    after = [
        law.predict(features_of(lr, scenario.pretraining_steps, law.settings, [len(lr)], scenario.replay))[0]
        for law in pair.roles().values()
    ]
    start = [scenario.ends(law)[0] for law in pair.roles().values()]
    expected = weight * (after[0] - start[0]) + (1 - weight) * (after[1] - start[1])
    assert value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.6])
def test_the_optimised_schedule_is_not_beaten(weight: float) -> None:
    pair, floor = printed("fig03"), 4e-5
    found = optimise(pair, SHORT, weight, floor=floor, knots=50)
    lr = found.lr
    assert len(lr) == SHORT.continual_steps
    assert lr.min() >= floor * (1 - 1e-12)
    assert lr.max() <= SHORT.peak_lr * (1 + 1e-12)
    assert np.all(np.diff(lr[SHORT.rewarmup :]) <= 1e-15)
    table = found.compared.set_index("schedule")
    assert list(table.index) == ["optimised", "constant", "cosine", "linear", "wsd"]
    assert found.objective == table.loc["optimised", "objective"] == pytest.approx(table["objective"].min(), abs=1e-12)
    # Among all schedules that never rise, Eq. 4 prefers a single fall: no such fall may beat the knots by much.
    objective = planned._Objective.of(pair, SHORT, weight)
    best = np.inf
    for peak in np.append(np.linspace(0.1, 1, 10) * SHORT.peak_lr, found.peak):
        flat = SHORT.with_knob("peak_lr", peak).with_knob("steps", SHORT.continual_steps)
        flat = replace(flat, continual=flat.continual.model_copy(update={"shape": "constant"}))
        for fall in range(SHORT.rewarmup, SHORT.continual_steps + 1, 7):
            one = flat.lr[SHORT.pretraining_steps :].copy()
            one[fall:] = floor
            best = min(best, objective.value(one)[0])
    assert found.objective <= best + 2e-4


def test_more_knots_never_cost_much_and_one_law_works_alone() -> None:
    law = printed("fig03").domain
    few, many = (optimise(law, SHORT, floor=1e-5, knots=knots) for knots in (8, 64))
    assert many.objective <= few.objective + 1e-6
    assert set(many.changes) == {"loss"}
    assert many.objective == pytest.approx(many.changes["loss"], abs=1e-14)
    assert 1 <= many.agreeing <= many.starts


def test_a_schedule_on_its_limits_comes_with_a_warning() -> None:
    capped = optimise(printed("fig03"), SHORT, 0.0, floor=1e-5, peak_cap=2e-3, knots=20)
    assert capped.peak == pytest.approx(2e-3)
    assert any("its cap" in warning for warning in capped.warnings)
    assert any("floor" in warning for warning in capped.warnings)
    assert any("abrupt" in warning for warning in capped.warnings)
    least = optimise(printed("fig11"), SHORT, 1.0, floor=1e-5, knots=20)
    assert least.peak == pytest.approx(1e-5)
    assert any("lowest one allowed" in warning for warning in least.warnings)
    assert not any("its cap" in warning for warning in least.warnings)


def test_steps_at_zero_lr_lower_the_predicted_loss_which_is_why_there_is_a_floor() -> None:
    law = printed("fig03").general
    first = np.concatenate([SHORT.lr, np.zeros(1)])
    padded = np.concatenate([SHORT.lr, np.zeros(200)])
    ends = [law.predict(features_of(lr, SHORT.pretraining_steps, SETTINGS, [len(lr)]))[0] for lr in (first, padded)]
    assert ends[1] < ends[0]


# --- third corpora


def third(weights: dict[str, float], runs: int, noise: float = 0.0, shared: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """Losses of simulated runs; `shared` is noise that all rows of a run have in common (nats)."""
    chance = np.random.default_rng(seed)
    parts = []
    for run in range(runs):
        progress = np.linspace(0, 1, 25)
        general = 3.2 + chance.uniform(0, 0.15) * progress**0.5
        domain = 3.1 - chance.uniform(0.1, 0.5) * progress**0.5
        ood = weights["general"] * general + weights["domain"] * domain + chance.normal(0, noise, 25)
        ood = ood + chance.normal(0, shared)
        parts.append(pd.DataFrame({"run": f"run{run}", "general": general, "domain": domain, "ood": ood}))
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("name", published.read(PUBLISHED)["out_of_domain"]["weights"])
def test_the_published_weights_are_recovered(name: str) -> None:
    weights = published.read(PUBLISHED)["out_of_domain"]["weights"][name]
    exact = fit_ood(third(weights, 5))
    assert (exact.w_general, exact.w_domain) == pytest.approx((weights["general"], weights["domain"]), abs=1e-9)
    assert exact.worst_absolute_error < 1e-12
    assert exact.r2 == pytest.approx(1.0)
    noisy = fit_ood(third(weights, 8, noise=1e-3))
    assert (noisy.w_general, noisy.w_domain) == pytest.approx((weights["general"], weights["domain"]), abs=5e-3)
    assert noisy.held_out_mean_absolute_error == pytest.approx(noisy.mean_absolute_error, rel=0.3)
    predicted = noisy.predict([3.2, 3.3], [2.9, 2.8])
    expected = noisy.w_general * np.array([3.2, 3.3]) + noisy.w_domain * np.array([2.9, 2.8])
    assert predicted == pytest.approx(expected)


def test_intervals_clustered_by_run_are_wider_where_rows_share_noise() -> None:
    import statsmodels.api as sm

    wider, covered, cases = 0, 0, 20
    for seed in range(cases):
        table = third({"general": 0.9, "domain": 0.2}, 8, noise=1e-4, shared=3e-3, seed=seed)
        found = fit_ood(table)
        assert found.intervals is not None
        plain = sm.OLS(table["ood"], table[["general", "domain"]]).fit().conf_int()
        low, high = found.intervals["domain"]
        wider += high - low > plain.loc["domain", 1] - plain.loc["domain", 0]
        covered += low <= 0.2 <= high
    assert wider >= cases - 1
    assert covered >= cases * 0.8


def test_the_interval_is_a_t_interval_on_the_clustered_standard_error() -> None:
    from scipy.stats import t

    table = third({"general": 0.9, "domain": 0.2}, 5, noise=2e-3, seed=3)
    found = fit_ood(table, level=0.9)
    x, y = table[["general", "domain"]].to_numpy(), table["ood"].to_numpy()
    bread = np.linalg.inv(x.T @ x)
    residuals = y - x @ (bread @ x.T @ y)
    scores = [x[rows].T @ residuals[rows] for rows in (table["run"] == run for run in table["run"].unique())]
    meat = sum(np.outer(s, s) for s in scores)
    correction = 5 / 4 * (len(y) - 1) / (len(y) - 2)
    errors = np.sqrt(np.diag(bread @ meat @ bread) * correction)
    half = t.ppf(0.95, 4) * errors
    assert found.intervals is not None
    for i, name in enumerate(("general", "domain")):
        low, high = found.intervals[name]
        assert (high - low) / 2 == pytest.approx(half[i], rel=1e-9)
    assert "4 degrees of freedom (5 runs)" in found.interval_reason
    assert found.interval_reason.startswith("90% intervals")


def test_few_runs_have_no_interval_and_one_run_no_held_out_error() -> None:
    two = fit_ood(third({"general": 0.9, "domain": 0.2}, 2, noise=1e-3))
    assert two.intervals is None
    assert "at least 3 runs" in two.interval_reason
    assert two.held_out_worst_absolute_error is not None
    one = fit_ood(third({"general": 0.9, "domain": 0.2}, 1, noise=1e-3))
    assert one.held_out_mean_absolute_error is None
    assert "at least 2 runs" in one.held_out_reason


def test_held_out_errors_are_those_of_refits_without_the_run() -> None:
    table = third({"general": 0.9, "domain": 0.2}, 4, noise=1e-3, shared=5e-3)
    found = fit_ood(table)
    errors = []
    for run in table["run"].unique():
        rest = fit_ood(table[table["run"] != run])
        out = table[table["run"] == run]
        errors += np.abs(out["ood"] - rest.predict(out["general"], out["domain"])).tolist()
    assert found.held_out_mean_absolute_error == pytest.approx(np.mean(errors))
    assert found.held_out_worst_absolute_error == pytest.approx(np.max(errors))
    assert np.mean(errors) > found.mean_absolute_error


def test_an_intercept_is_fitted_on_request() -> None:
    table = third({"general": 0.9, "domain": 0.2}, 5)
    table["ood"] += 0.3
    found = fit_ood(table, intercept=True)
    assert (found.w_general, found.w_domain, found.intercept) == pytest.approx((0.9, 0.2, 0.3), abs=1e-8)
    assert found.predict(3.0, 3.0) == pytest.approx(0.9 * 3 + 0.2 * 3 + 0.3)
    assert found.intervals is not None
    assert set(found.intervals) == {"general", "domain", "intercept"}
    assert fit_ood(table).r2 < found.r2


# --- bad input

PAIR, TABLE = printed("fig03"), third({"general": 0.9, "domain": 0.2}, 3)
POWER = Pair(*(cpt({**law.parameters, "z1": 1, "z2": 1}, law="cpt_lr_weighted") for law in PAIR.roles().values()))
SIZED = cpt({**PAIR.general.parameters, "g1": 0.1, "g2": 0.1, "F": 1.0, "g3": 0.2}, law="cpt_size")
HISTORY = cpt({}, law="cpt_multi_power")

ERRORS: dict[str, tuple[Callable[[], Any], str]] = {
    "knob": (lambda: scan(PAIR, SHORT, "dropout", [1]), "no knob 'dropout': choose one of potential"),
    "knob of defaults": (lambda: default_values(SHORT, "dropout"), "no knob 'dropout'"),
    "replay unseen": (lambda: scan(PAIR, SHORT, "replay", [0.5]), "'cpt' does not read `replay`"),
    "constant PT": (
        lambda: scan(PAIR, replace(SHORT, pretraining=Schedule()), "potential"),
        "pretraining.shape is constant",
    ),
    "no values": (lambda: scan(PAIR, SHORT, "peak_lr", []), "values of peak_lr must be numbers"),
    "NaN": (lambda: scan(PAIR, SHORT, "peak_lr", [float("nan")]), "values of peak_lr must be numbers"),
    "potential": (lambda: scan(PAIR, SHORT, "potential", [1.5]), "between 0 and 1"),
    "role": (lambda: scan(PAIR, SHORT, "peak_lr", [1e-3]).change("third"), "no loss 'third'"),
    "weight": (lambda: optimum(PAIR, SHORT, "peak_lr", 1.2, [1e-3]), "weight is 1.2"),
    "measure": (lambda: optimum(PAIR, SHORT, "peak_lr", 0.2, [1e-3], measure="best"), "measure is 'best'"),  # type: ignore[arg-type]
    "schedule": (lambda: scan(PAIR, SHORT, "steps", [10]), "a warm-up of 20 steps does not fit"),
    "params": (lambda: SHORT.ends(SIZED), "give the scenario `params`"),
    "no knobs": (lambda: grid(PAIR, SHORT, {}, 0.5), "no knob to vary"),
    "large grid": (
        lambda: grid(PAIR, SHORT, {"peak_lr": np.linspace(1e-3, 2e-3, 200), "steps": np.arange(100, 301)}, 0.5),
        "40200 combinations",
    ),
    "no combination": (lambda: grid(PAIR, SHORT, {"steps": [5, 10]}, 0.5), "no combination of the given values"),
    "no default": (
        lambda: default_values(replace(SHORT, continual=Schedule(end=0.5, shape="linear"), rewarmup=3000), "peak_lr"),
        "no default value of peak_lr has a schedule",
    ),
    "max_steps": (lambda: turning_length(PAIR, SHORT, 0), "max_steps is 0"),
    "short max_steps": (lambda: turning_length(PAIR, SHORT, 15), "does not fit into max_steps"),
    "weight of one": (lambda: turning_length(PAIR.general, SHORT, 50, 0.5), "give a pair of laws"),
    "turning weight": (lambda: turning_length(PAIR, SHORT, 50, -1), "weight is -1"),
    "limit": (lambda: critical_point(HISTORY), "'cpt_multi_power' has no limit"),
    "limit of size": (lambda: critical_point(SIZED), "give params"),
    "cap": (lambda: critical_mixture_ratio(mixed(), SHORT, float("nan")), "cap is nan"),
    "when": (lambda: critical_mixture_ratio(mixed(), SHORT, 0.1, "once"), "when is 'once'"),  # type: ignore[arg-type]
    "shares": (lambda: critical_mixture_ratio(mixed(), SHORT, 0.1, shares=[2]), "between 0 and 1"),
    "ratio without replay": (lambda: critical_mixture_ratio(PAIR, SHORT, 0.1), "does not read `replay`"),
    "floor": (lambda: optimise(PAIR, SHORT, 0.5, floor=-1.0), "floor is -1"),
    "floor above the cap": (lambda: optimise(PAIR, SHORT, 0.5, floor=1.0), "below the peak's cap"),
    "floor above PT": (lambda: optimise(PAIR, SHORT, 0.5, floor=1.0, peak_cap=2.0), "not be above the peak of PT"),
    "knots": (
        lambda: optimise(PAIR, SHORT, 0.5, floor=0.0, knots=500),
        "knots is 500: give at least 2 and at most 280",
    ),
    "no weight": (lambda: optimise(PAIR, SHORT, floor=0.0), "give one with a pair"),
    "weight and one law": (lambda: optimise(PAIR.general, SHORT, 0.5, floor=0.0), "none with one law"),
    "schedule weight": (lambda: optimise(PAIR, SHORT, 7.0, floor=0.0), "weight is 7"),
    "schedule history": (lambda: optimise(HISTORY, SHORT, floor=0.0), "reads 'history'"),
    "weighted floor": (lambda: optimise(POWER, SHORT, 0.5, floor=0.0), "give a floor above 0"),
    "ood column": (lambda: fit_ood(TABLE.drop(columns="ood")), "lack the column 'ood'"),
    "ood rows": (lambda: fit_ood(TABLE.iloc[:0]), "no rows"),
    "ood missing": (lambda: fit_ood(TABLE.assign(ood=float("nan"))), "run 'run0' has a missing loss"),
    "ood collinear": (lambda: fit_ood(TABLE.assign(domain=2 * TABLE["general"])), "move together"),
    "ood level": (lambda: fit_ood(TABLE, level=95), "level is 95"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_bad_input_is_one_line_that_names_it(name: str) -> None:
    call, message = ERRORS[name]
    with pytest.raises(UserError) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
