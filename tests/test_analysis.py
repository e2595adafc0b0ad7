"""The analyses of figures, on curves made from a known law."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from worlds.figures import Tables, analysed, figure_data, outcomes
from worlds.small import EXPERIMENTS, TRUE, synthetic, synthetic_config

from cpt_dynamics import figures, files
from cpt_dynamics.config import Config, Role
from cpt_dynamics.curves import unique_measurements
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import runs as experiments_
from cpt_dynamics.figures.fig01.result import Result as Fig01
from cpt_dynamics.figures.fig02.result import Result as Fig02
from cpt_dynamics.figures.fig03.result import Result as Fig03
from cpt_dynamics.figures.fig10.result import Result as Fig10
from cpt_dynamics.figures.kit import published, selection, shifts, style
from cpt_dynamics.figures.kit.joint import PAPER_LAMBDA
from cpt_dynamics.figures.kit.result import FigureResult, read_result, to_json
from cpt_dynamics.figures.lambda_ import analyse as scan
from cpt_dynamics.figures.lambda_.result import Result as Lambda
from cpt_dynamics.laws import get


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return synthetic_config(tmp_path_factory.mktemp("scale"))


@pytest.fixture(scope="module")
def exact(config: Config) -> Tables:
    curves, schedules, experiments = synthetic(config)
    return curves, schedules, config, experiments


@pytest.fixture(scope="module")
def fig03(exact: Tables) -> Fig03:
    return analysed(Fig03, exact)


def test_joint_fits_recover_the_law(fig03: Fig03) -> None:
    for role, fits in fig03.fits.items():
        true, found = TRUE[role], fits.chosen
        assert found.r2 is not None
        assert found.r2 > 0.9999
        assert found.mean_relative_error_continual is not None
        assert found.mean_relative_error_continual < 1e-4
        assert found.parameters == pytest.approx(true, rel=0.05)
        assert np.sign(fits.free_sign_B) == np.sign(true["B"])


def test_joint_fits_tell_the_right_choices_from_the_wrong_ones(fig03: Fig03) -> None:
    assert set(fig03.fits) == set(TRUE)
    for found in fig03.fits.values():
        assert found.better_carry_over is True
        for other in (found.paper_lambda, found.other_carry_over):
            assert other.huber_sum > 10 * found.chosen.huber_sum
        assert found.paper_lambda.lambda_ == 0.999
        assert found.chosen.skill is not None
        assert found.paper_lambda.skill is not None
        assert found.chosen.skill > max(0.99, found.paper_lambda.skill)


def test_each_measurement_is_fitted_once(exact: Tables) -> None:
    curves, schedules, config, _ = exact
    features = selection.with_areas(curves, schedules, config)
    runs = ["pt_constant", "cpt_constant", "transfer_1", "cpt_wsd"]
    rows = selection.to_fit(features, schedules, runs, "docs", first_step=0)
    before = features[features["run"].isin(runs) & (features["validation"] == "docs")]
    pretraining = before[before["phase"] == "pretraining"]
    # the schedules agree up to the decay of WSD, so these runs share all steps until then
    decay = pretraining[(pretraining["run"] == "cpt_wsd") & (pretraining["step"] > 960)]
    trunk = pretraining.drop(decay.index)
    assert rows.shared == len(trunk) - trunk["step"].nunique()
    assert len(rows.table) == len(before) - rows.shared
    continual = rows.table[rows.table["phase"] == "continual"]
    assert len(continual) == int((before["phase"] == "continual").sum())


def test_separate_trainings_are_not_repeats(exact: Tables) -> None:
    curves, schedules, _, _ = exact
    twin = curves[curves["run"] == "pt_wsd"].assign(run="twin", loss=lambda t: t["loss"] + 1e-6)
    plan = schedules[schedules["run"] == "pt_wsd"].assign(run="twin")
    both = pd.concat([curves[curves["run"] == "pt_wsd"], twin], ignore_index=True)
    plans = pd.concat([schedules, plan], ignore_index=True)
    assert len(unique_measurements(both, plans)) == len(both)
    assert len(unique_measurements(both.assign(loss=3.0), plans)) == len(both) / 2


def test_early_rows_are_counted_and_left_out(exact: Tables, fig03: Fig03) -> None:
    curves, schedules, config, _ = exact
    features = selection.with_areas(curves, schedules, config)
    rows = selection.to_fit(features, schedules, ["cpt_wsd"], "docs", first_step=100)
    kept = rows.table
    assert kept["step"].min() >= 100
    assert rows.early == int(
        (features["run"].eq("cpt_wsd") & features["validation"].eq("docs") & features["step"].lt(100)).sum()
    )
    found = fig03.fits[Role.GENERAL].chosen.rows
    runs = features["run"].isin(["cpt_wsd", "cpt_cosine", "cpt_constant"]) & features["validation"].eq("docs")
    assert found.used + found.left_out_early + found.left_out_shared == int(runs.sum())
    assert rows.early <= found.left_out_early < 3 * rows.early  # the three share the warm-up


def test_unseen_schedules_are_predicted(exact: Tables, fig03: Fig03) -> None:
    found, alone = analysed(Fig10, exact, [fig03]), analysed(Fig10, exact)
    assert set(found.predictions) == set(TRUE)
    for role, part in found.predictions.items():
        assert set(part.runs) == {"cpt_linear", "cpt_rewarm_cosine"}
        pooled, error = part.pooled, part.pooled.law.mean_relative_error
        assert error is not None
        assert error < 2e-4
        assert pooled.s1_only.mean_relative_error is not None
        assert pooled.s1_only.mean_relative_error > 1e-3
        assert pooled.ratio is not None
        assert pooled.ratio < 0.1
        assert pooled.law.n == sum(run.law.n for run in part.runs.values())
        assert alone.predictions[role].pooled.law.mean_relative_error == pytest.approx(error, rel=1e-6)


def test_held_out_losses_do_not_enter_the_fit(exact: Tables, fig03: Fig03) -> None:
    curves = exact[0]
    held = curves["run"].isin(["cpt_linear", "cpt_rewarm_cosine"])
    spoilt = curves.assign(loss=curves["loss"].where(~held, curves["loss"] + 1))
    found = analysed(Fig10, (spoilt, *exact[1:])).predictions[Role.GENERAL]
    assert found.fit.parameters == pytest.approx(fig03.fits[Role.GENERAL].chosen.parameters)
    assert found.pooled.law.mae == pytest.approx(1, abs=0.01)


def test_the_right_lambda_is_found_without_the_held_out_runs(exact: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    curves = exact[0]
    monkeypatch.setattr(scan, "MEMORIES", (20,))
    held = curves["run"].isin(["cpt_linear", "cpt_rewarm_cosine"])
    found = analysed(Lambda, (curves.assign(loss=curves["loss"].where(~held, 4.0)), *exact[1:]))
    assert found.best == pytest.approx(0.98)
    values = [point.lambda_ for point in found.points]
    assert values == sorted(values)
    assert values == pytest.approx([0.95, 0.98, 0.999])
    assert set(found.points[0].sets[Role.STRONG].left_out_runs) == {"cpt_wsd", "cpt_cosine", "cpt_constant"}


def test_leaving_a_run_out_takes_its_own_pretraining_along(exact: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    experiments = exact[3]
    monkeypatch.setattr(scan, "grid", lambda chosen: [chosen, PAPER_LAMBDA])
    entry = experiments.figures["lambda"]
    longer = entry.model_copy(update={"runs": ["pt_wsd", *entry.runs]})
    more = dataclasses.replace(experiments, figures={**experiments.figures, "lambda": longer})
    one, two = analysed(Lambda, exact), analysed(Lambda, (*exact[:3], more))
    assert two.fitted_runs == one.fitted_runs == ["cpt_wsd", "cpt_cosine", "cpt_constant"]
    assert to_json(two)["points"] == to_json(one)["points"]


def test_a_run_is_a_prefix_only_phase_by_phase(exact: Tables) -> None:
    *_, experiments = exact
    runs = ["pt_constant", "transfer_1", "transfer_3", "cpt_constant", "pt_wsd", "cpt_wsd"]
    # under a constant LR all transfers have the LR of the others, but not their data
    kept = ["transfer_1", "transfer_3", "cpt_constant", "cpt_wsd"]
    assert experiments.without_prefixes(runs) == kept


def test_schedules_are_named_by_what_they_are(exact: Tables) -> None:
    *_, config, experiments = exact
    phase = {"phase": "continual", "data": {"strong": 1}, "steps": "continual"}
    half = {**phase, "schedule": {"shape": "cosine", "peak": 0.5, "end": 0.05}}
    high = {**phase, "schedule": {"shape": "cosine", "peak": 0.25}}
    more = {name: {"after": "pt_wsd", "phases": [last]} for name, last in {"half": half, "high": high}.items()}
    runs = experiments.extended(more, config).runs
    assert {name: style.schedule_label(run) for name, run in runs.items() if run.continual} == {
        "cpt_constant": "constant",
        **{f"transfer_{number}": "constant" for number in (1, 2, 3)},
        "cpt_wsd": "WSD",
        "cpt_cosine": "cosine",
        "cpt_linear": "no re-warm-up, 50 % to 0 %",
        "cpt_rewarm_cosine": "re-warm-up, 0 % to 10 %",
        "half": "cosine, half the peak",
        "high": "re-warm-up, 10 % to 25 %",
    }
    assert style.schedule_label(runs["pt_wsd_half"]) == "pt wsd half"


def test_shifts_of_the_transfer_points_overlap(exact: Tables) -> None:
    found = analysed(Fig02, exact)
    assert found.transfers == {"transfer_1": 300, "transfer_2": 600, "transfer_3": 900}
    assert set(found.hidden.values()) == {"hidden_constant"}
    for role, part in found.sets.items():
        # what is left is the linear interpolation between the evaluations of the CPT and the hidden run
        assert part.spread.relative is not None
        assert part.spread.relative < 0.02
        for forms in (part.forms.phase_step, part.forms.s1cpt):
            power, exponential = forms["power"].r2, forms["exponential"].r2
            assert power is not None
            assert exponential is not None
            assert power > max(0.999, exponential + 0.005)
        assert part.r2_gain is not None
        assert part.r2_gain > 0.005
        over_steps, over_area = part.forms.phase_step["power"], part.forms.s1cpt["power"]
        assert over_area.parameters["B"] == pytest.approx(TRUE[role]["B"], rel=0.1)
        assert over_steps.parameters["E"] == pytest.approx(over_area.parameters["E"] * 0.003, rel=0.1)


@pytest.fixture(scope="module")
def held_out(exact: Tables) -> Tables:
    """The tables with a held-out transfer in Figure 2."""
    experiments = exact[3]
    entry = experiments.figures["fig02"].model_copy(update={"heldout": ["cpt_constant"]})
    return *exact[:3], dataclasses.replace(experiments, figures={**experiments.figures, "fig02": entry})


def test_a_held_out_transfer_is_predicted_and_not_fitted(exact: Tables, held_out: Tables) -> None:
    fitted, found = analysed(Fig02, exact), analysed(Fig02, held_out)
    assert (fitted.heldout_runs, found.heldout_runs) == ([], ["cpt_constant"])
    assert found.transfers["cpt_constant"] == 1200
    for role, one in fitted.sets.items():
        two = found.sets[role]
        assert one.heldout is None
        power = one.forms.phase_step["power"]
        assert two.forms.phase_step["power"].parameters == power.parameters
        assert two.heldout is not None
        assert two.heldout.mean_absolute_error < 3 * power.mae
        assert two.heldout.relative_error is not None
        assert two.heldout.relative_error < 0.01
        assert set(two.heldout.shifts.run) == {"cpt_constant"}
        assert (one.power_gain.n, two.power_gain.n) == (3, 4)


def test_the_tests_of_the_shift_see_form_and_transfer_point(held_out: Tables) -> None:
    curves, schedules, config, experiments = held_out
    places = {"transfer_1": 1 / 6, "transfer_2": 2 / 6, "transfer_3": 3 / 6, "cpt_constant": 4 / 6}
    features = selection.with_areas(curves, schedules, config)
    continual = curves["run"].isin(list(places)) & (curves["phase"] == "continual")
    moved = curves.copy()
    for role, validation in selection.roles(config).items():
        rows = continual & (curves["validation"] == validation)
        shift = get("shift_power").predict(TRUE[role], features[rows])
        moved.loc[rows, "loss"] += 0.5 * curves.loc[rows, "run"].map(places) * shift
    one, two = analysed(Fig02, held_out), analysed(Fig02, (moved, schedules, config, experiments))
    for role, same in one.sets.items():
        other = two.sets[role]
        assert same.transfer.low is not None
        assert same.transfer.high is not None
        assert -0.02 < same.transfer.low < same.transfer.high < 0.02
        assert other.transfer.slope == pytest.approx(0.5 / (1 + 0.5 * 5 / 12), rel=0.03)
        assert other.transfer.places == pytest.approx(places)
        assert same.power_gain.p is not None
        assert same.power_gain.p < 0.01
        for error in same.power_gain.mean_squared_errors.values():
            assert error.power < 0.1 * error.exponential


def measured(curves: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """The shifts of Figure 2 on D_pt."""
    _, schedules, config, experiments = tables
    hidden = shifts.hidden_curves(experiments, experiments.runs_of("fig02"))
    return shifts.measured(selection.with_areas(curves, schedules, config), hidden, "docs")


def test_a_shift_that_depends_on_the_transfer_point_is_seen(exact: Tables) -> None:
    curves = exact[0]
    late = curves["run"].eq("transfer_3") & curves["phase"].eq("continual")
    table = measured(curves.assign(loss=curves["loss"] + 0.1 * late), exact)
    assert shifts.spread(table).range == pytest.approx(0.1, abs=0.01)
    assert table.groupby("run")["transfer"].unique().explode().to_dict() == {
        "transfer_1": 300,
        "transfer_2": 600,
        "transfer_3": 900,
    }


def test_hidden_curve_is_interpolated_where_it_was_not_evaluated(exact: Tables) -> None:
    curves = exact[0]
    gone = curves["run"].eq("hidden_constant") & ~curves["step"].mod(40).eq(0)
    table = measured(curves[~gone], exact)
    true = get("shift_power").predict(TRUE["general"], table)
    assert table["interpolated"].any()
    assert not table["interpolated"].all()
    assert np.max(np.abs(table["shift"] - true)) < 2e-3


def test_cpt_moves_from_one_hidden_curve_to_the_other(exact: Tables) -> None:
    found = analysed(Fig01, exact)
    assert [(c.cpt, c.hidden, c.scratch) for c in found.columns] == [
        ("cpt_constant", "hidden_constant", "scratch_constant"),
        ("cpt_wsd", "hidden_wsd", "scratch_wsd"),
    ]
    moved = []
    for part in (part for column in found.columns for part in column.sets.values()):
        ends = [part.hidden_at_end, part.scratch_at_end]
        assert min(ends) < part.cpt_at_end < max(ends)
        assert part.moved is not None
        assert 0 < part.moved < 1
        moved.append(part.moved)
    assert len(moved) == 4
    assert (found.moved.least, found.moved.most) == (min(moved), max(moved))
    assert set(moved) == {one.value for one in outcomes(found)}
    assert all(one.holds for one in outcomes(found))


def test_where_the_two_hidden_curves_meet_nothing_is_said_of_the_way(exact: Tables) -> None:
    curves = exact[0]
    hidden = curves[curves["run"] == "hidden_wsd"]
    same = hidden.assign(run="scratch_wsd")
    found = analysed(Fig01, (pd.concat([curves[curves["run"] != "scratch_wsd"], same]), *exact[1:]))
    assert [part.moved for part in found.columns[1].sets.values()] == [None, None]
    assert (found.moved.least, found.moved.most) == (None, None)
    assert not all(one.holds for one in outcomes(found))


@pytest.mark.parametrize("kind", [Fig01, Fig02, Fig03, Fig10])
def test_results_are_json(kind: type[FigureResult], exact: Tables, tmp_path: Path) -> None:
    found = analysed(kind, exact)
    files.write_json(tmp_path / "result.json", to_json(found))
    assert to_json(read_result(tmp_path / "result.json", kind)) == to_json(found)


def test_mistakes_are_named(exact: Tables, tmp_path: Path) -> None:
    curves, schedules, config, experiments = exact
    with pytest.raises(UserError, match="figure 'fig99'"):
        figures.analyse(figure_data("fig99", exact))
    without = curves[curves["run"] != "cpt_cosine"]
    with pytest.raises(UserError, match="run 'cpt_cosine'"):
        analysed(Fig03, (without, schedules, config, experiments))
    with pytest.raises(UserError, match="validation set 'code'"):
        analysed(Fig03, (curves[curves["validation"] == "docs"], schedules, config, experiments))
    lonely = yaml.safe_load(EXPERIMENTS)
    lonely["figures"]["fig02"]["runs"].remove("hidden_constant")
    lonely["figures"]["fig01"]["runs"].remove("scratch_wsd")
    other = experiments_.load(synthetic_config(tmp_path, yaml.safe_dump(lonely)))
    with pytest.raises(UserError, match="'transfer_1' has no hidden pre-training curve"):
        analysed(Fig02, (curves, schedules, config, other))
    with pytest.raises(UserError, match=r"fig01 needs a run from scratch .* 'cpt_wsd'"):
        analysed(Fig01, (curves, schedules, config, other))
    del lonely["figures"]["fig03"]["heldout"]
    other = experiments_.load(synthetic_config(tmp_path, yaml.safe_dump(lonely)))
    with pytest.raises(UserError, match="no held-out runs"):
        analysed(Fig10, (curves, schedules, config, other))


def test_published_coefficients_belong_to_laws() -> None:
    entries = published.load()
    keys = [(e.figure, e.setting, e.role, e.form) for e in entries]
    assert len(keys) == len(set(keys)) == 40
    known = {p.name for p in get("cpt").parameters}
    assert all(set(e.parameters) == known for e in entries if e.law == "Eq. 4")
    main = published.find("fig03", "general")
    assert main.validation == "FineWeb"
    for e in entries:  # printed curves of losses lie between 1.7 (Pile-of-Law) and 5 nats
        if e.law == "Eq. 4":
            one, none = np.array([4.0]), np.array([0.0])
            values = {name: value or 0.0 for name, value in e.parameters.items()}
            found = get("cpt").predict(values, {"s1pt": one, "s2pt": none, "s1cpt": one, "s2cpt": none})
            assert 1.7 < found[0] < 5
    with pytest.raises(UserError, match="no equation of fig99"):
        published.find("fig99", "general")
