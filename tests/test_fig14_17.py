"""Figures 14 and 17 on curves made from a known law: analysis, drawing and text of the report."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from worlds.figures import Tables, analysed, drawn, figure_data, is_on_the_page, outcomes
from worlds.runs import PARAMS, TRUE, made

from cpt_dynamics import figures
from cpt_dynamics.config import Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.fig14.result import Result as Fig14
from cpt_dynamics.figures.fig17.result import Result as Fig17
from cpt_dynamics.figures.kit.result import FigureResult
from cpt_dynamics.laws import get

END = 1.5  # forward area of CPT after 1,500 steps at a constant LR of 0.001


@pytest.fixture(scope="module")
def tables() -> Tables:
    """A quarter of the measurements of the runs of these figures."""
    curves, schedules, config, experiments = made()
    runs = [run for figure in ("fig14", "fig17") for run in experiments.runs_of(figure)]
    few = curves[curves["run"].isin(runs) & curves["validation"].isin(config.validations()[:3])]
    steps = sorted(few["step"].unique(), reverse=True)[::4]
    return few[few["step"].isin(steps)], schedules[schedules["run"].isin(runs)], config, experiments


@pytest.fixture(scope="module")
def fig14(tables: Tables) -> Fig14:
    return analysed(Fig14, tables)


@pytest.fixture(scope="module")
def fig17(tables: Tables) -> Fig17:
    return analysed(Fig17, tables)


@pytest.fixture(params=["fig14", "fig17"])
def result(request: pytest.FixtureRequest) -> FigureResult:
    found: FigureResult = request.getfixturevalue(request.param)
    return found


def without(experiments: Experiments, figure: str, *runs: str) -> Experiments:
    """Experiments with some runs taken out of a figure."""
    entry = experiments.figures[figure]
    fewer = entry.model_copy(update={"runs": [run for run in entry.runs if run not in runs]})
    return replace(experiments, figures={**experiments.figures, figure: fewer})


def test_sizes_share_one_shift(fig14: Fig14) -> None:
    assert list(fig14.sets) == [Role.GENERAL, Role.STRONG]
    for role, found in fig14.sets.items():
        assert found.spread.relative is not None
        assert found.spread.relative < 1e-6
        assert found.size.slope == pytest.approx(0, abs=1e-6)
        assert found.form.r2 is not None
        assert found.form.r2 > 0.9999
        assert found.form.parameters["B"] * TRUE[role]["B"] > 0
        assert [one.relative for one in found.runs.values()] == pytest.approx([1, 1, 1])


def test_a_shift_that_grows_with_size_is_seen(tables: Tables) -> None:
    curves, _, _, experiments = tables
    factors = {"small": 0.8, "medium": 1.0, "large": 1.2}
    changed = curves[curves["run"].isin(experiments.figures["fig14"].runs)].copy()
    for model, factor in factors.items():
        suffix = "" if model == "small" else f".{model}"
        here = (changed["run"] == f"cpt_constant{suffix}") & (changed["phase"] == "continual")
        hidden = changed[changed["run"] == f"hidden_constant{suffix}"].set_index(["validation", "step"])["loss"]
        rows = changed[here]
        base = hidden.loc[list(zip(rows["validation"], rows["step"], strict=True))].to_numpy()
        changed.loc[rows.index, "loss"] = base + factor * (rows["loss"].to_numpy() - base)
    result = analysed(Fig14, (changed, *tables[1:]))
    found = result.sets[Role.GENERAL]
    size = np.log([PARAMS[model] for model in factors])
    expected = np.polyfit((size - size[0]) / np.ptp(size), list(factors.values()), 1)[0]
    assert found.size.slope == pytest.approx(expected, rel=1e-3)
    assert found.spread.relative is not None
    assert found.spread.relative > 0.2
    failed = {one.path for one in outcomes(result) if not one.holds}
    assert {"fig14.sets.general.spread.relative", "fig14.sets.general.size.slope"} <= failed


def test_each_batch_is_compared_with_its_own_hidden_curve(fig17: Fig17, tables: Tables) -> None:
    curves, schedules, config, experiments = tables
    hidden = {run: setting.hidden for run, setting in fig17.settings.items()}
    assert hidden["cpt_constant"] == "hidden_constant"
    assert all(hidden[run] == f"hidden_{run}" for run in ("batch_half", "batch_double", "sequence_double"))
    assert not fig17.settings["cpt_constant"].changed
    assert fig17.settings["sequence_double"].cpt_tokens == fig17.settings["cpt_constant"].cpt_tokens
    for role, found in fig17.sets.items():
        least = fig17.least_r2[role]
        assert least is not None
        assert least > 0.9999
        expected = float(get("shift_power").predict(TRUE[role], {"s1cpt": [END]})[0])
        assert list(found.runs) == list(hidden)
        for one in found.runs.values():
            assert one.end.shift == pytest.approx(expected, rel=0.01)
    few = without(experiments, "fig17", "cpt_constant", "sequence_double")
    lower = curves["loss"] - 0.1 * (curves["run"] == "hidden_batch_half") * (curves["phase_step"] > 3000)
    moved = analysed(Fig17, (curves.assign(loss=lower), schedules, config, few))
    before, after = (one.sets[Role.GENERAL].runs for one in (fig17, moved))
    assert after["batch_half"].end.shift > before["batch_half"].end.shift + 0.05
    assert after["batch_double"].end == before["batch_double"].end


@pytest.mark.parametrize(
    ("kind", "runs", "message"),
    [
        (Fig14, ["cpt_constant.medium", "cpt_constant.large"], "fig14 compares model sizes"),
        (Fig14, ["hidden_constant.large"], "'cpt_constant.large' has no hidden pre-training curve"),
        (Fig17, ["hidden_batch_half"], "'batch_half' has no hidden .* in batches of 10 sequences of 64 tokens"),
        (Fig17, ["cpt_constant", "batch_half", "batch_double", "sequence_double"], "fig17 has no run"),
    ],
)
def test_missing_runs_are_named(tables: Tables, kind: type[FigureResult], runs: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        analysed(kind, (*tables[:3], without(tables[3], kind.FIGURE, *runs)))
    assert "\n" not in str(caught.value)


def test_sizes_without_a_common_step_are_refused(tables: Tables) -> None:
    curves: pd.DataFrame = tables[0]
    steps = sorted(curves.loc[curves["phase"] == "continual", "step"].unique())
    large = curves["run"] == "cpt_constant.large"
    apart = curves[(curves["phase"] != "continual") | (large == curves["step"].isin(steps[::2]))]
    with pytest.raises(UserError, match="no common step"):
        analysed(Fig14, (apart, *tables[1:]))


def test_figures_show_all_runs_within_the_page(result: FigureResult, tables: Tables) -> None:
    experiments = tables[3]
    figure, table = drawn(result, tables)
    runs = experiments.runs_of(result.figure)
    assert {run for run in runs if experiments.runs[run].phases[-1].phase == "continual"} <= set(table["run"])
    assert np.isfinite(table["y"]).all()
    assert set(table["panel"]) == {"general_shift", "strong_shift"}
    is_on_the_page(figure)


def test_the_claims_hold_for_the_known_law(result: FigureResult) -> None:
    found = outcomes(result)
    assert len(found) >= 2
    assert not [one.path for one in found if not one.holds]


def test_the_words_of_a_figure(result: FigureResult, tables: Tables) -> None:
    found = figures.text(figure_data(result.figure, tables), result)
    assert found.shows
    assert found.paper
    assert len(found.notes) >= 2
    assert "None" not in " ".join([found.shows, found.paper, *found.notes])
