"""The effect of each planned contrast on curves of known laws, and the runs that it names where some are missing."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from worlds.figures import drawn, figure_data, is_on_the_page
from worlds.planned import GROWTH, OFFSET, OUT_OF_DOMAIN, SHARE, made

from cpt_dynamics import claims
from cpt_dynamics.claims import contrasts
from cpt_dynamics.config import Role
from cpt_dynamics.figures.contrasts import known as knowing
from cpt_dynamics.figures.contrasts.analyse import analyse, measured
from cpt_dynamics.figures.contrasts.effects import EFFECTS, ood, potential, replay, schedules, shift, sizes
from cpt_dynamics.figures.contrasts.effects.potential import POTENTIALS
from cpt_dynamics.figures.contrasts.known import SEEDS, Known, Missing, Undefined, of_seed
from cpt_dynamics.figures.contrasts.noise import seed_noise
from cpt_dynamics.figures.contrasts.predictors import Lawless
from cpt_dynamics.figures.contrasts.result import Contrast, Result
from cpt_dynamics.laws import LAWS, Law, get
from cpt_dynamics.laws.annealing import Annealing, annealing, irreducible
from cpt_dynamics.laws.replay import with_power
from cpt_dynamics.laws.shift import shift as forms

BOTH = (Role.GENERAL, Role.STRONG)
FEW = ("cpt", "s1_only", "cpt_one_c", "cpt_log")
EXTRA = ("cpt_replay", "cpt_size")


@pytest.fixture(scope="module")
def known() -> Known:
    """All runs."""
    return Known(figure_data("contrasts", made()))


@pytest.fixture
def few_laws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the laws that take long to fit."""
    kept = {name: law for name, law in LAWS.items() if name in FEW or name.startswith(EXTRA)}
    monkeypatch.setattr(knowing, "everything", lambda: kept)


def changed(known: Known, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Known:
    """The same with other curves."""
    curves, schedules, *_ = made()
    return Known(replace(known.data, tables=(change(curves.copy()), schedules)))


def without(known: Known, *runs: str) -> Known:
    return changed(known, lambda curves: curves[~curves["run"].isin(runs)])


def final(run: str, role: Role) -> float:
    """The last loss of a run, from the table."""
    curves, _, config, _ = made()
    rows = curves[(curves["run"] == run) & (curves["validation"] == config.corpus_of(role))]
    return float(rows.sort_values("step")["loss"].iloc[-1])


def estimates(found: Contrast) -> dict[str, float]:
    return {loss: effect.estimate for loss, effect in found.losses.items()}


# --- potential ----------------------------------------------------------------------------------------------


def test_slopes_over_the_potential_are_one_a_seed(known: Known) -> None:
    found = EFFECTS["potential_peak_100"](known)
    effect = found.losses[Role.STRONG]
    assert list(effect.units) == [f"seed {seed}" for seed in SEEDS]
    for seed in SEEDS:
        ends = [final(of_seed(f"peak_100_potential_{share}", seed), Role.STRONG) for share in (0, 50, 100)]
        # three points at 0, .5 and 1: the slope of least squares is the last minus the first
        assert effect.units[f"seed {seed}"] == pytest.approx(ends[2] - ends[0], abs=1e-9)
    assert effect.estimate == pytest.approx(np.mean(list(effect.units.values())))
    assert (effect.freedom, found.missing) == (2, [])
    assert found.rivals["no effect"] == {"strong": 0.0}
    steps = [
        (final(of_seed(f"peak_100_potential_{share}", seed), Role.STRONG)
         - final(of_seed(f"rewarm_potential_{share}", seed), Role.STRONG)) / 0.9
        for share in (0, 50, 100) for seed in SEEDS
    ]  # fmt: skip
    assert found.rivals["the peak LR of CPT instead of the potential"]["strong"] == pytest.approx(np.mean(steps))
    assert found.beside["the printed design, whose peak is the potential"]["strong"] < -0.2


def test_a_seed_that_is_not_there_leaves_the_others_and_is_named(known: Known) -> None:
    found = EFFECTS["potential_peak_10"](without(known, "rewarm_potential_50.seed3"))
    assert list(found.losses[Role.STRONG].units) == ["seed 1", "seed 2"]
    assert found.missing == ["rewarm_potential_50.seed3"]
    nothing = EFFECTS["potential_peak_10"](without(known, *(of_seed("rewarm_potential_0", seed) for seed in SEEDS)))
    assert not nothing.losses
    assert len(nothing.missing) == len(SEEDS)


def test_the_law_that_made_the_curves_predicts_the_slope(known: Known, few_laws: None) -> None:
    found = EFFECTS["potential_predicted"](known)
    effect = found.losses[Role.STRONG]
    assert effect.units["seed 1"] == pytest.approx(0, abs=2e-4)  # the first seed follows Eq. 4 exactly
    assert abs(found.rivals["Eq. 4 with one C"]["strong"]) > 10 * abs(effect.units["seed 1"])
    assert "two memories" not in found.rivals
    measured_slope = EFFECTS["potential_peak_10"](known).losses[Role.STRONG]
    assert effect.estimate == pytest.approx(found.beside["predicted slope"]["strong"] - measured_slope.estimate)


@dataclass(frozen=True)
class Remembered(Annealing):
    memory: float = 0.95


def test_laws_that_are_not_of_the_kit_yet_are_used_by_name(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memories are as long for the run as those that a law states are for its runs; a form of the shift is its term."""
    c = annealing("C", "s2pt", "s2cpt")
    remembering = Law("cpt_two_memories", "made up", (Remembered(c.coefficient, c.inputs, (), c.sign), forms("log")))
    hill = Law("cpt_hill", "made up", (irreducible(), forms("log")))
    monkeypatch.setattr(knowing, "everything", lambda: {**LAWS, "cpt_two_memories": remembering, "cpt_hill": hill})
    law = known.law("cpt_two_memories", Role.GENERAL)
    assert law is not None
    assert [getattr(term, "memory", None) for term in law.terms] == [pytest.approx(0.975), None]  # of 9,000 steps
    found = shift.power_form(known)
    assert found.rivals["Hill"] == pytest.approx(found.rivals["logarithmic"])


# --- seed noise ---------------------------------------------------------------------------------------------


def test_the_common_offset_of_a_seed_is_taken_off(known: Known) -> None:
    found = seed_noise(known, Role.STRONG)
    assert found.noise is not None
    assert found.without_offset is not None
    table = np.array([[final(of_seed(run, seed), Role.STRONG) for seed in SEEDS] for run in found.groups])
    assert len(found.groups) > 10
    assert found.noise == pytest.approx(np.sqrt(np.mean(table.var(axis=1, ddof=1))))
    left = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    freedom = (len(table) - 1) * (len(SEEDS) - 1)
    assert found.without_offset == pytest.approx(np.sqrt(np.sum(left**2) / freedom))
    assert found.noise > 0.9 * OFFSET > 3 * found.without_offset
    more = changed(known, lambda curves: curves.assign(loss=curves["loss"] + 0.1 * (curves["seed"] % 3)))
    assert seed_noise(more, Role.STRONG).without_offset == pytest.approx(found.without_offset)


def test_noise_of_too_few_runs_is_not_known(known: Known) -> None:
    seeded = [run for run in known.there if "seed" in run]
    bare = without(known, *seeded)
    assert seed_noise(bare, Role.GENERAL).noise is None
    with pytest.raises(Undefined, match="seed noise is not known"):
        shift.turning_too_little(bare)
    one = without(known, *(run for run in seeded if not run.startswith("cpt_wsd.")))
    found = seed_noise(one, Role.GENERAL)
    assert (found.groups, found.without_offset) == (["cpt_wsd"], None)


# --- schedules ----------------------------------------------------------------------------------------------


def test_the_law_of_the_curves_predicts_schedules_and_its_rivals_do_worse(known: Known, few_laws: None) -> None:
    found = schedules.unseen_schedules(known)
    assert set(found.losses[Role.GENERAL].units) == set(known.data.experiments.figures["fig10"].heldout)
    for role in BOTH:
        effect = found.losses[role]
        assert effect.estimate < 5e-4
        assert effect.estimate == pytest.approx(np.mean(list(effect.units.values())))
        assert all(numbers[role] > 2 * effect.estimate for numbers in found.rivals.values())
        assert "noise law" not in found.rivals
        noise = seed_noise(known, role).relative
        assert noise is not None
        assert found.beside["in units of the relative seed noise"][role] == pytest.approx(effect.estimate / noise)
    skill = schedules.annealing_skill(known)
    assert all(0 < value < 0.1 for value in estimates(skill).values())
    one_c = schedules.one_c(known)
    assert all(effect.estimate > 0 and effect.freedom == 7 for effect in one_c.losses.values())
    assert one_c.rivals["two C"] == {"general": 0.0, "strong": 0.0}
    best = schedules.best_rival(known)
    for role in BOTH:
        names = [f"error of {name}" for name in best.rivals]
        least = min(best.beside[name][role] for name in names)
        assert best.losses[role].estimate == pytest.approx(found.losses[role].estimate - least)
        assert min(numbers[role] for numbers in best.rivals.values()) == pytest.approx(0.0)


def test_the_worst_final_loss_is_in_seed_noise(known: Known, few_laws: None) -> None:
    found = schedules.final_losses(known)
    fitted = known.data.experiments.figures["fig03"].runs
    for role in BOTH:
        noise, law = (
            seed_noise(known, role).without_offset,
            get("cpt", "positive" if role == Role.GENERAL else "negative"),
        )
        assert noise is not None
        effect = found.losses[role]
        assert effect.estimate == max(map(abs, effect.units.values()))
        end = known.fit(law, role, fitted).predict(known.continual("peak_50", role).tail(1))[0]
        assert effect.units["peak_50"] == pytest.approx((end - final("peak_50", role)) / noise)


def test_only_the_rows_that_no_fitted_run_shares_are_tested(known: Known) -> None:
    run, twin = "cpt_wsd", "replay_5_wsd"
    every = known.continual(run, Role.GENERAL)
    assert len(known.unseen(run, Role.GENERAL, [twin])) == len(every)
    assert len(known.unseen(run, Role.GENERAL, [run])) == 0


def test_across_peaks_eq_4_is_better_where_it_made_the_curves(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules, "ACROSS_PEAKS", "cpt_log")  # in the place of a law that takes long
    monkeypatch.setattr(knowing, "everything", lambda: {name: LAWS[name] for name in FEW})
    found = schedules.peaks(known)
    fitted = [r for r in known.data.experiments.figures["fig03"].runs if r not in schedules.FROM_HALF]
    rows = known.curve("pt_wsd_at_half", Role.GENERAL)
    rows = rows[rows["step"] >= 1000]
    errors = [
        np.mean(np.abs(known.fit(get(law, "positive"), Role.GENERAL, fitted).predict(rows) / rows["loss"] - 1))
        for law in ("cpt", "cpt_log")
    ]
    assert found.losses[Role.GENERAL].units["pt_wsd_at_half"] == pytest.approx(errors[0] - errors[1])
    assert found.losses[Role.GENERAL].estimate < 0
    assert found.rivals["Eq. 4"] == {"general": 0.0}
    assert found.rivals["S1 only"]["general"] < 0


def test_the_weak_domain_is_described_by_eq_4(known: Known, few_laws: None) -> None:
    found = schedules.weak_domain(known)
    assert set(found.losses) == {"general", "weak"}
    assert all(value < 0.2 for value in estimates(found).values())
    assert found.rivals["S1 only"] == {"general": 1.0, "weak": 1.0}


def test_predictors_without_a_law(known: Known) -> None:
    role, fitted = Role.STRONG, known.data.experiments.figures["fig03"].runs
    rows = known.continual("cpt_wsd", role)
    lawless = Lawless(known, fitted, role)
    assert lawless.nearest(rows) == pytest.approx(rows["loss"])  # a fitted run is the nearest to itself

    def affine(curves: pd.DataFrame) -> pd.DataFrame:
        """The D_cpt loss of every run as an affine function of its D_pt loss."""
        general, strong = known.validation(Role.GENERAL), known.validation(role)
        at = curves[curves["validation"] == general].set_index(["run", "step"])["loss"]
        here = curves["validation"] == strong
        keys = list(zip(curves.loc[here, "run"], curves.loc[here, "step"], strict=True))
        curves.loc[here, "loss"] = 1.3 - 0.2 * at.loc[keys].to_numpy()
        return curves

    other = changed(known, affine)
    wanted = other.continual("peak_50", role)
    assert Lawless(other, fitted, role).affine(wanted) == pytest.approx(wanted["loss"])

    def linear(curves: pd.DataFrame) -> pd.DataFrame:
        """Losses of CPT that are linear in the mean LR of CPT so far."""
        for run in dict.fromkeys([*fitted, "cpt_potential_100"]):
            at = (curves["run"] == run) & (curves["phase"] == "continual")
            if at.any():
                lr = known.run(run).lr[known.run(run).transfer_step :]
                steps = curves.loc[at, "phase_step"].to_numpy()
                curves.loc[at, "loss"] = 3.0 - 100 * np.cumsum(lr)[steps - 1] / steps
        return curves

    other = changed(known, linear)
    wanted = other.continual("cpt_potential_100", role)
    assert Lawless(other, fitted, role).interpolated(wanted) == pytest.approx(wanted["loss"])


# --- shift --------------------------------------------------------------------------------------------------


def reshaped(known: Known, shape: Callable[[pd.DataFrame], np.ndarray]) -> Known:
    """Transfers at a constant LR whose shift is another function of their rows (with `s1cpt` and `transfer`)."""

    def change(curves: pd.DataFrame) -> pd.DataFrame:
        for role in BOTH:
            rows = shift.measured(known, dict.fromkeys(shift.TRANSFERS, shift.HIDDEN), role)
            values = pd.Series(np.asarray(shape(rows)), index=pd.MultiIndex.from_frame(rows[["run", "phase_step"]]))
            old = pd.Series(rows["shift"].to_numpy(), index=values.index)
            here = curves["run"].isin(shift.TRANSFERS) & (curves["validation"] == known.validation(role))
            here &= curves["phase"] == "continual"
            keys = list(zip(curves.loc[here, "run"], curves.loc[here, "phase_step"], strict=True))
            curves.loc[here, "loss"] += (values - old).loc[keys].to_numpy()
        return curves

    return changed(known, change)


def test_the_form_of_the_curves_wins(known: Known) -> None:
    power = shift.power_form(known)
    assert all(effect.estimate < 0 and len(effect.units) == 4 for effect in power.losses.values())
    assert power.rivals["exponential"] == {"general": 0.0, "strong": 0.0}
    assert all(value < -5e-4 for value in estimates(shift.power_not_logarithm(known)).values())


@pytest.mark.slow
def test_other_forms_win_on_their_own_curves(known: Known) -> None:
    signs = {Role.GENERAL: 1, Role.STRONG: -1}

    def exponential(rows: pd.DataFrame) -> np.ndarray:
        sign = signs[Role.GENERAL] if rows["shift"].mean() > 0 else signs[Role.STRONG]
        return np.asarray(sign * (1 - np.exp(-1.5 * rows["s1cpt"])))

    other = reshaped(known, exponential)
    assert all(value > 0 for value in estimates(shift.power_form(other)).values())

    def logarithm(rows: pd.DataFrame) -> np.ndarray:
        sign = signs[Role.GENERAL] if rows["shift"].mean() > 0 else signs[Role.STRONG]
        return np.asarray(sign * 0.2 * np.log1p(20 * rows["s1cpt"]))

    flat = shift.power_not_logarithm(reshaped(known, logarithm))
    assert all(value > -5e-4 for value in estimates(flat).values())


@pytest.mark.parametrize("growth", [0.0, 0.6])
def test_the_slope_over_the_transfer_point_is_that_of_the_curves(known: Known, growth: float) -> None:
    world = reshaped(known, lambda rows: np.asarray(rows["shift"] * (1 + growth * rows["transfer"] / 9000)))
    places = [1 / 6, 2 / 6, 3 / 6, 4 / 6]
    found = shift.transfer_point(world)
    for effect in found.losses.values():
        assert effect.estimate == pytest.approx(growth / (1 + growth * np.mean(places)), abs=2e-3)
        assert (len(effect.units), effect.freedom) == (4, 2)
    # S1 of PT is nearly in proportion to the step
    assert found.rivals["a shift that grows with the S1 of PT"]["general"] == pytest.approx(
        1 / np.mean(places), rel=0.02
    )


def test_what_is_left_of_the_way(known: Known) -> None:
    found = shift.moves_between(known)
    for role in BOTH:
        left = {}
        for run, hidden, scratch in (
            ("cpt_constant", "hidden_constant", "scratch_constant"),
            ("cpt_wsd", "hidden_wsd", "scratch_wsd"),
        ):
            left[run] = (final(run, role) - final(scratch, role)) / (final(hidden, role) - final(scratch, role))
        assert found.losses[role].units == pytest.approx(left)
        assert found.losses[role].estimate == pytest.approx(max(left.values()))
    assert all(0 < value < 0.3 for value in estimates(found).values())


def test_weak_over_strong_is_the_share_of_the_shift(known: Known) -> None:
    found = shift.weak_shift(known)
    assert estimates(found) == pytest.approx({"general": SHARE["plantsci"]})
    assert found.beside["middle_constant over cpt_constant"]["general"] == pytest.approx(SHARE["canada_law"])
    assert shift.weak_shift(without(known, "middle_constant")).beside == {}


def test_another_batch_is_predicted_over_the_forward_area_and_not_over_tokens(known: Known) -> None:
    found = shift.batch(known)
    for role in BOTH:
        assert found.losses[role].estimate < 1e-3
        assert found.rivals["the power form over tokens"][role] > 0.02
        assert found.rivals["the nearest batch at the same step"][role] == pytest.approx(0, abs=1e-3)


def test_turning_back_is_counted_in_seed_noise(known: Known) -> None:
    curves, _, config, _ = made()
    noise = seed_noise(known, Role.GENERAL).noise
    assert noise is not None
    rows = curves[(curves["run"] == "precritical") & (curves["validation"] == config.roles.general)]
    start = float(rows.loc[rows["step"] == 500, "loss"].iloc[0])
    found = shift.turning_too_little(known).losses[Role.GENERAL]
    assert found.units["precritical"] == pytest.approx((final("precritical", Role.GENERAL) - start) / noise)

    def hump(table: pd.DataFrame) -> pd.DataFrame:
        """One run rises by 1 nat and falls by half of it; the other only rises."""
        here = table["validation"] == config.roles.general
        here &= table["phase"] == "continual"
        up = here & (table["run"] == "weak_early")
        table.loc[up, "loss"] = 4 + table.loc[up, "phase_step"] / 6000
        back = here & (table["run"] == "weak_long")
        x = table.loc[back, "phase_step"] / 12000
        table.loc[back, "loss"] = np.where(x < 0.4, 4 + x / 0.4, np.maximum(5 - (x - 0.7).clip(lower=0) / 0.6, 4.5))
        return table

    weak = shift.turning_weak(changed(known, hump)).losses[Role.GENERAL]
    assert weak.units["weak_long"] == pytest.approx(-0.5 / noise, rel=1e-6)
    assert weak.units["weak_early"] > 0
    assert weak.estimate == weak.units["weak_early"]  # the larger


# --- sizes, replay, out of domain ---------------------------------------------------------------------------


def test_the_law_of_size_predicts_a_size(known: Known, few_laws: None) -> None:
    found = sizes.size_law(known)
    assert set(found.losses[Role.GENERAL].units) == {"main", "third", "triple"}
    assert all(value < 0.1 for value in estimates(found).values())
    assert found.rivals["Eq. 7 without annealing areas"] == {"general": 1.0, "strong": 1.0}


def test_a_shift_that_does_not_depend_on_the_size_has_no_slope(known: Known) -> None:
    found = sizes.size_shift(known)
    assert all(value == pytest.approx(0, abs=1e-9) for value in estimates(found).values())
    assert found.losses[Role.STRONG].freedom == 1

    def larger(curves: pd.DataFrame) -> pd.DataFrame:
        """The shift of the largest model is 1.3 times as large."""
        for role in BOTH:
            hidden = {"cpt_constant.triple": "hidden_constant.triple"}
            rows = shift.measured(known, hidden, role)
            here = (curves["run"] == "cpt_constant.triple") & (curves["validation"] == known.validation(role))
            here &= curves["phase"] == "continual"
            curves.loc[here, "loss"] += (
                0.3 * rows.set_index("phase_step")["shift"].loc[curves.loc[here, "phase_step"]].to_numpy()
            )
        return curves

    places = np.log([332_448, 803_968, 2_656_704])
    places = (places - places.min()) / np.ptp(places)
    expected = np.polyfit(places, np.array([1, 1, 1.3]) / 1.1, 1)[0]
    for effect in sizes.size_shift(changed(known, larger)).losses.values():
        assert effect.estimate == pytest.approx(expected)


def test_the_inner_ratio_is_compared_with_the_better_end(known: Known) -> None:
    found = replay.interior_replay(known)
    goals = {run: 0.5 * final(run, Role.GENERAL) + 0.5 * final(run, Role.STRONG) for run in replay.RATIOS.values()}
    better = min(goals["cpt_wsd"], goals["replay_90_wsd"])
    assert found.losses["goal"].units["seed 1"] == pytest.approx(better - goals["replay_33_wsd"])
    assert found.beside["50 % instead, one seed"]["goal"] == pytest.approx(better - goals["replay_50_wsd"])
    assert max(numbers["goal"] for numbers in found.rivals.values()) == pytest.approx(0, abs=0.01)


def test_the_recommended_ratio_is_judged_among_trained_ones(known: Known, few_laws: None) -> None:
    found = replay.recommended_replay(known)
    fitted = [one for one in known.fits if one.law.startswith("cpt_replay") and one.runs == replay.FITTED]
    assert {one.role for one in fitted} == {"general", "strong"}
    assert all(one.converged and one.n_points > 50 for one in fitted)
    assert estimates(found) == {"goal": 0.0}  # curves of Eq. 8: it recommends the best
    assert sum("(not counted)" in name for name in found.beside) == 3 - len(found.losses["goal"].units)

    def steered(curves: pd.DataFrame) -> pd.DataFrame:
        """D_cpt losses so low everywhere but at 5 % that this is the best for every weight."""
        here = ~curves["run"].isin(replay.ENDS) & curves["run"].str.startswith("replay")
        return curves.assign(loss=curves["loss"] + 1.0 * (here & curves["run"].isin(replay.TRIED)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay, "lowest_goal", lambda losses, weight: replay.ENDS[0])
        with pytest.raises(Undefined, match="none counts"):
            replay.recommended_replay(known)
    worse = replay.recommended_replay(changed(known, steered))
    assert worse.losses["goal"].estimate > 0.5


@pytest.mark.slow
def test_eq_8_predicts_ratios_of_its_own_curves(known: Known, few_laws: None) -> None:
    ends, growth = replay.replay_ends(known), replay.replay_growth(known)
    for role in BOTH:
        assert ends.losses[role].estimate < 1e-3
        assert all(numbers[role] > 3 * ends.losses[role].estimate for numbers in ends.rivals.values())
        assert len(growth.losses[role].units) == 9
        assert growth.losses[role].estimate < -1e-3
    assert growth.rivals["growth r_cpt^a"] == {"general": 0.0, "strong": 0.0}
    assert set(GROWTH) == set(ends.losses)


def test_the_power_of_the_ratio_has_the_slopes_of_its_values() -> None:
    law = with_power("power", complement=True)
    rows = {name: np.array([0.5, 1.0, 2.0]) for name in ("s1pt", "s2pt", "s1cpt", "s2cpt")}
    rows["replay"] = np.array([0.0, 0.3, 1.0])
    point = {"L0": 2.0, "A": 1.0, "alpha": 0.5, "C1": 0.1, "C2": 0.2, "a1": 0.3, "B": -1.0, "E": 5.0, "beta": 0.3}
    point["a"] = 1.7
    h = 1e-6
    up, down = (law.predict({**point, "a": point["a"] + d}, rows) for d in (h, -h))
    column = [p.name for p in law.parameters].index("a")
    assert law.jacobian(point, rows)[:, column] == pytest.approx((up - down) / (2 * h), abs=1e-8)
    assert law.predict({**point, "B": 0.0}, rows)[2] == pytest.approx(law.predict(point, rows)[2])  # no D_cpt text
    assert "(1 - replay)^a" in law.formula()


def test_out_of_domain_losses_are_combinations_of_both(known: Known) -> None:
    linear = ood.ood_linear(known)
    assert estimates(linear) == {"out_of_domain": 1.0}
    assert set(linear.losses["out_of_domain"].units.values()) == {1.0}
    assert all(one["out_of_domain"] == pytest.approx(0, abs=1e-9) for one in linear.beside.values())
    assert ood.ood_both(known).losses["out_of_domain"].estimate == pytest.approx(0, abs=1e-9)

    def of_one(curves: pd.DataFrame) -> pd.DataFrame:
        """A set whose loss is an affine function of the D_pt loss."""
        name = known.data.config.roles.out_of_domain[0]
        general = curves[curves["validation"] == known.validation(Role.GENERAL)]
        at = general.set_index(["run", "step"])["loss"]
        here = curves["validation"] == name
        keys = list(zip(curves.loc[here, "run"], curves.loc[here, "step"], strict=True))
        jitter = 0.01 * np.sin(np.arange(len(keys)))
        curves.loc[here, "loss"] = 0.8 * at.loc[keys].to_numpy() + OUT_OF_DOMAIN[2] + jitter
        return curves

    name = known.data.config.roles.out_of_domain[0]
    assert ood.ood_both(changed(known, of_one)).losses["out_of_domain"].units[name] == pytest.approx(1, abs=0.1)


@pytest.mark.slow
def test_a_long_run_of_unknown_pretraining_is_predicted(known: Known) -> None:
    ratio, r2 = (EFFECTS[name](known) for name in ("unknown_pretraining", "unknown_r2"))
    assert set(ratio.losses) == {"strong", "proxy"}
    assert ratio.losses[Role.STRONG].estimate < 1
    assert r2.losses[Role.STRONG].estimate > 0.5
    assert all(value >= 1 for numbers in ratio.rivals.values() for value in numbers.values())
    assert r2.rivals["last value"]["strong"] < 0


# --- runs that are not there, and the figure ----------------------------------------------------------------


def only(scale: str, run: str) -> Known:
    """A scale of whose runs one is there."""
    curves, schedules, config, everything = made(scale)
    return Known(figure_data("contrasts", (curves[curves["run"] == run], schedules, config, everything)))


@pytest.mark.parametrize("scale", ["prose", "packages"])
def test_every_contrast_names_what_it_lacks(scale: str) -> None:
    """Without any run but a PT no contrast has an effect, and each names runs that the scale has."""
    bare = only(scale, "pt_constant")
    for name in contrasts.of_scale(claims.load(), scale):
        found = measured(EFFECTS[name], bare)
        assert found.missing, name
        assert not found.losses, name
        assert set(found.missing) <= set(bare.data.experiments.runs), name


@pytest.mark.parametrize("scale", ["prose", "packages"])
def test_runs_of_the_entry_are_those_that_contrasts_ask_for(scale: str) -> None:
    """The figure lists no run for nothing, but for seeds that tell the noise, and lacks none."""
    bare = only(scale, "replay_100_wsd")
    asked = {run for effect in EFFECTS.values() for run in measured(effect, bare).missing}
    listed = set(bare.data.experiments.runs_of("contrasts"))
    assert asked <= listed
    spare = {run for run in listed - asked if "seed" not in run}
    assert spare == {"middle_constant"}  # shown beside
    assert not {of_seed(run, seed) for run in potential.PRINTED for seed in SEEDS} - listed


def test_a_scale_without_a_run_or_figure_is_no_mistake(known: Known) -> None:
    experiments = known.data.experiments
    runs = {name: run for name, run in experiments.runs.items() if name == "pt_constant"}
    entry = experiments.figures["contrasts"].model_copy(update={"runs": ["pt_constant"], "heldout": []})
    curves, schedules, *_ = made()
    small = replace(
        known.data,
        experiments=replace(experiments, runs=runs, figures={"contrasts": entry}),
        tables=(curves[curves["run"] == "pt_constant"], schedules[schedules["run"] == "pt_constant"]),
    )
    found = analyse(small)
    assert not any(one.losses for one in found.contrasts.values())
    assert all(one.missing or one.reason for one in found.contrasts.values())
    assert found.contrasts["one_c"].reason == "the scale has no figure fig03, whose runs it reads"


def test_a_run_that_is_missing_is_no_mistake_and_one_of_another_kind_is(known: Known) -> None:
    with pytest.raises(Missing, match="cpt_wsd, nowhere"):
        without(known, "cpt_wsd").need("pt_wsd", "cpt_wsd", "nowhere")


@pytest.fixture(scope="module")
def partial(known: Known) -> Result:
    """What the first trunk allows: contrasts without fits of slow laws, and many that are missing."""
    kept = {*shift.TRANSFERS, shift.HIDDEN, "pt_constant", "weak_constant", "precritical"}
    kept |= {
        of_seed(run, seed)
        for run in (*known.grid(potential.WHOLE, POTENTIALS), *known.grid(potential.TENTH, POTENTIALS))
        for seed in SEEDS
    }
    kept -= {"peak_100_potential_50.seed3"}
    world = changed(known, lambda curves: curves[curves["run"].isin(kept)])
    return analyse(world.data)


def test_a_partial_scale_is_analysed_decided_and_drawn(partial: Result) -> None:
    stated = claims.load()
    decided = contrasts.decided(partial, stated, "prose")
    assert isinstance(decided, Result)
    words = {name: one.word for name, one in decided.decisions.items()}
    assert words["power_form"] == words["transfer_point"] == words["weak_shift"] == "supported"
    assert words["potential_peak_100"] == words["one_c"] == "not testable"
    assert partial.contrasts["potential_peak_100"].missing == ["peak_100_potential_50.seed3"]
    for result in (decided, partial):  # with words, and without
        figure, table = drawn(result, made())
        is_on_the_page(figure)
        assert {"power_form", "weak_shift"} <= set(table["panel"])
        assert len(figure.axes) >= len(result.decisions or EFFECTS)
    said = [text.get_text() for text in figure.axes[list(EFFECTS).index("one_c")].texts]
    assert any(re.fullmatch(r"\d+ runs missing", text) for text in said)


@pytest.mark.slow
def test_every_rival_of_the_claims_has_a_number(known: Known) -> None:
    """By the name that the entry gives it, without what stands in brackets; a law that is not in the kit has none."""
    absent = {"two memories": "cpt_two_memories", "Hill shift": "cpt_hill", "Hill": "cpt_hill"}
    for name, planned in contrasts.of_scale(claims.load(), "prose").items():
        found = measured(EFFECTS[name], known)
        assert found.losses, name
        wanted = {re.sub(r" \(.*\)", "", rival) for rival in planned.rivals}
        wanted -= {rival for rival, law in absent.items() if law not in LAWS}
        assert wanted <= set(found.rivals), name
        assert all(set(numbers) == set(found.losses) for numbers in found.rivals.values()), name
