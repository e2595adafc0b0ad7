"""Figure 6 (two domains, and replay) and the same-data control on curves made from a known law."""

from dataclasses import replace

import numpy as np
import pytest
from worlds.figures import Tables, analysed, drawn, figure_data, is_on_the_page, outcomes
from worlds.runs import TRUE, WEAK, made

from cpt_dynamics import figures
from cpt_dynamics.config import Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.control.result import Result as Control
from cpt_dynamics.figures.fig06.result import Result as Fig06
from cpt_dynamics.figures.kit.result import FigureResult
from cpt_dynamics.laws import get

NOISE = 0.003  # nats, of the losses of Figure 6


def listing(tables: Tables, figure: str, runs: list[str]) -> Tables:
    """The tables with other runs in a figure."""
    *_, experiments = tables
    entry = experiments.figures[figure].model_copy(update={"runs": runs})
    return *tables[:3], replace(experiments, figures={**experiments.figures, figure: entry})


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Noisy curves of Figure 6."""
    curves, schedules, config, experiments = made(NOISE)
    runs = experiments.runs_of("fig06")
    return curves[curves["run"].isin(runs)], schedules[schedules["run"].isin(runs)], config, experiments


@pytest.fixture(scope="module")
def controlled() -> Tables:
    """Exact curves of the control, which has a pair under a constant LR, too."""
    curves, schedules, config, experiments = made(0.0)
    curves = curves.assign(loss=curves["loss"].round(9))  # runs that are trained as one agree to the last digit
    runs = list(dict.fromkeys([*experiments.runs_of("control"), "cpt_constant"]))
    few = curves[curves["run"].isin(runs)], schedules[schedules["run"].isin(runs)], config, experiments
    return listing(few, "control", runs)


@pytest.fixture(scope="module")
def fig06(tables: Tables) -> Fig06:
    return analysed(Fig06, tables)


@pytest.fixture(scope="module")
def control(controlled: Tables) -> Control:
    return analysed(Control, controlled)


def test_shifts_are_those_of_the_law(fig06: Fig06) -> None:
    assert fig06.domains.runs == {Role.WEAK: "weak_constant", Role.STRONG: "cpt_constant"}
    for role in (Role.WEAK, Role.STRONG):
        general, own = fig06.domains.sets["general"][role], fig06.domains.sets["own"][role]
        scale = WEAK if role == Role.WEAK else 1.0
        for found, true in ((general, {**TRUE["general"], "B": scale * TRUE["general"]["B"]}), (own, TRUE[role])):
            expected = true["B"] * (1 - (1 + true["E"] * found.shifts.s1cpt[-1]) ** -true["beta"])
            assert found.final == pytest.approx(expected, abs=6 * NOISE)
            assert found.power is not None
            assert found.power.r2 is not None
            assert found.power.r2 > 0.99
            assert np.sign(found.power.parameters["B"]) == np.sign(true["B"])
            assert found.shifts.fitted[-1] == pytest.approx(expected, abs=6 * NOISE)
    assert fig06.domains.weak_over_strong["general"] == pytest.approx(WEAK, abs=0.02)


def test_replay_scales_the_shift(fig06: Fig06) -> None:
    replay = fig06.replay
    assert sorted(replay.runs.values()) == [0.0, 0.33, 0.5, 0.67, 1.0]
    assert list(replay.sets) == [Role.GENERAL, Role.STRONG]
    for found in replay.sets.values():
        assert found.monotone is True
        assert found.order == 1.0
        assert found.same_data == pytest.approx(0, abs=1e-9)
        assert found.relative == pytest.approx({ratio: 1 - ratio for ratio in replay.runs.values()}, abs=0.02)
        assert found.runs["replay_100_constant"].power is None
    full = 0.366 * (1 - (1 + 28 * 4) ** -0.189)
    printed = 0.077 * (1 - (1 + 6 * 4) ** -0.608)
    assert replay.printed_relative[Role.GENERAL][0.33] == pytest.approx(printed / full)


def test_the_least_r2_is_that_of_all_forms(fig06: Fig06) -> None:
    sides = [one for side in fig06.domains.sets.values() for one in side.values()]
    mixed = [one for found in fig06.replay.sets.values() for one in found.runs.values()]
    assert fig06.least_r2 == min(one.power.r2 for one in [*sides, *mixed] if one.power and one.power.r2)


def test_a_ratio_out_of_order_is_seen(tables: Tables) -> None:
    curves = tables[0]
    moved = curves["run"].eq("replay_67_constant") & curves["phase"].eq("continual")
    found = analysed(Fig06, (curves.assign(loss=curves["loss"] + 2.0 * moved), *tables[1:])).replay.sets[Role.GENERAL]
    assert found.monotone is False
    assert found.order == pytest.approx(3 / 4)


def test_controls_follow_eq_2_and_shifts_depend_on_the_area_alone(control: Control) -> None:
    assert control.pairs == {
        "cpt_wsd": "replay_100_wsd",
        "cpt_cosine": "replay_100_cosine",
        "cpt_constant": "replay_100_constant",
    }
    assert control.pretraining_runs == ["pt_wsd", "pt_cosine", "pt_constant", "hidden_constant"]
    assert list(control.sets) == [Role.GENERAL, Role.STRONG]
    for role, one in control.sets.items():
        assert one.residual_share is not None
        assert one.residual_share < 0.05
        assert one.refitted.residual_share is not None
        assert one.refitted.residual_share <= one.residual_share
        # under a constant LR the control is the hidden curve, which is fitted
        assert set(one.residuals) == {"replay_100_wsd", "replay_100_cosine"}
        assert one.overlap is not None
        area, step = one.overlap.s1cpt.relative, one.overlap.phase_step.relative
        assert area is not None
        assert step is not None
        assert area < 0.02 < step
        true = get("shift_power").predict(TRUE[role], {"s1cpt": np.array(one.shifts.s1cpt)})
        assert np.abs(one.shifts.table["shift"] - true).max() < 1e-6


def test_a_shift_that_the_lr_makes_is_seen(controlled: Tables) -> None:
    curves = controlled[0]
    at = curves["run"].isin(["replay_100_wsd", "replay_100_cosine"]) & curves["phase"].eq("continual")
    result = analysed(Control, (curves.assign(loss=curves["loss"] + 0.4 * at), *controlled[1:]))
    found = result.sets[Role.GENERAL]
    assert found.residual == pytest.approx(0.4, rel=0.1)
    assert found.residual_share is not None
    assert found.residual_share > 0.5
    assert found.overlap is not None
    assert found.overlap.s1cpt.relative is not None
    assert found.overlap.s1cpt.relative > 0.2
    assert "control.sets.general.residual_share" in {one.path for one in outcomes(result) if not one.holds}


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (["pt_constant", "hidden_constant", "cpt_constant", "replay_33_constant"], "weak and on the strong"),
        (["weak_constant", "cpt_constant", "replay_33_constant"], "no hidden pre-training curve"),
    ],
)
def test_missing_runs_of_figure_6_are_named(tables: Tables, kept: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        analysed(Fig06, listing(tables, "fig06", kept))
    assert "\n" not in str(raised.value)


def test_missing_losses_are_named(tables: Tables) -> None:
    curves, config = tables[0], tables[2]
    lacking = curves[curves["validation"] != config.roles.weak]
    with pytest.raises(UserError, match="no losses on the validation set 'mathematics'"):
        analysed(Fig06, (lacking, *tables[1:]))


def test_a_missing_control_is_named(controlled: Tables) -> None:
    with pytest.raises(UserError, match="control needs a run with CPT on handbook alone"):
        analysed(Control, listing(controlled, "control", ["pt_wsd", "hidden_constant", "cpt_wsd"]))


@pytest.mark.parametrize("figure", ["fig06", "control"])
def test_figures_show_their_table_on_the_page(
    figure: str, tables: Tables, controlled: Tables, request: pytest.FixtureRequest
) -> None:
    result: FigureResult = request.getfixturevalue(figure)
    inputs = {"fig06": tables, "control": controlled}[figure]
    picture, table = drawn(result, inputs)
    assert len(table) > 200
    assert table["y"].notna().all()
    lines = [np.asarray(line.get_ydata(), float) for ax in picture.axes for line in ax.lines]
    kept = table[table["panel"] != "lr"]  # drawn in thousandths
    assert np.isin(np.round(kept["y"], 9), np.round(np.concatenate(lines), 9)).all()
    is_on_the_page(picture)
    words = figures.text(figure_data(figure, inputs), result)
    assert len(words.notes) >= 2
    assert "None" not in " ".join([words.shows, words.paper, *words.notes])
    assert all(one.holds for one in outcomes(result))
