"""Figures 19 and 20 and Table 2, on curves made from known laws."""

from dataclasses import replace
from typing import cast

import pytest
from matplotlib.text import Text
from worlds.runs import TRUE, made

from cpt_dynamics import claims, figures
from cpt_dynamics.claims.verdicts import Outcome, of_figure
from cpt_dynamics.config import Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig03.result import FitsOfSet, SkilledFit
from cpt_dynamics.figures.fig03.result import Result as Fig03
from cpt_dynamics.figures.fig19.result import Result as Fig19
from cpt_dynamics.figures.fig20 import analyse as analysis_of_fig20
from cpt_dynamics.figures.fig20.result import Result as Fig20
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import choices
from cpt_dynamics.figures.kit.result import FigureResult
from cpt_dynamics.laws import get
from cpt_dynamics.report.material import Material
from cpt_dynamics.report.table import as_csv, as_latex
from cpt_dynamics.report.table2 import table2

REPLAY = [
    "pt_constant",
    "pt_wsd",
    "cpt_constant",
    "cpt_wsd",
    *(f"replay_{share}_{shape}" for share in (33, 67, 100) for shape in ("constant", "wsd")),
]
# Growth of the annealing and of the shift in Eq. 8; B is that without replay over the growth at r_cpt = 1.
GROWTH = {
    Role.GENERAL: ("cpt_replay_general_convex", {**TRUE["general"], "a1": 0.2, "B": 0.46, "a2": 1.5}),
    Role.STRONG: ("cpt_replay_domain_saturating", {**TRUE["strong"], "a1": 0.2, "B": -2.2, "a2": 2.0}),
}


def with_runs(experiments: Experiments, figure: str, **update: list[str]) -> Experiments:
    entry = experiments.figures[figure].model_copy(update=update)
    return replace(experiments, figures={**experiments.figures, figure: entry})


@pytest.fixture(scope="module")
def data() -> FigureData:
    """Few rows of few runs, for Figure 20, which fits Eq. 4 itself."""
    curves, schedules, config, experiments = made()
    experiments = with_runs(with_runs(experiments, "fig19", runs=REPLAY), "fig20", needs=[])
    used = {*experiments.runs_of("fig19"), *experiments.runs_of("fig20")}
    seen = curves["validation"].isin(list(selection.roles(config).values()))
    few = (curves["phase_step"] < 64) | (curves["phase_step"] % 150 == 0)
    curves = curves[seen & few & curves["run"].isin(list(used))].reset_index(drop=True)
    schedules = schedules[schedules["run"].isin(list(used))].reset_index(drop=True)
    return FigureData("fig20", config, experiments, tables=(curves, schedules))


@pytest.fixture(scope="module")
def replayed(data: FigureData) -> FigureData:
    """The same for Figure 19; the losses of the runs with replay follow Eq. 8 with exchanged growths."""
    curves, schedules = data.curves.copy(), data.schedules
    areas = selection.with_areas(curves, schedules, data.config)
    features = selection.with_replay(areas, data.experiments, data.config)
    for role, (law, parameters) in GROWTH.items():
        rows = curves["run"].isin(REPLAY) & (curves["validation"] == data.config.corpus_of(role))
        curves.loc[rows, "loss"] = get(law).predict(parameters, features[rows])
    return replace(data, figure="fig19", tables=(curves, schedules))


@pytest.fixture(scope="module")
def fig19(replayed: FigureData) -> Fig19:
    return cast(Fig19, figures.analyse(replayed))


@pytest.fixture(scope="module")
def fig20(data: FigureData) -> Fig20:
    return cast(Fig20, figures.analyse(data))


def outcomes(result: FigureResult) -> dict[str, Outcome]:
    """Every criterion of config/claims.yaml that is a number of a figure, by its path."""
    found = claims.evaluate(claims.load(), {result.figure: result})
    return {one.path: one for one in of_figure(found, result.figure)}


def test_the_right_growths_of_eq_8_are_found(fig19: Fig19) -> None:
    for role, (_, true) in GROWTH.items():
        printed, exchanged = fig19.fits[role].printed, fig19.fits[role].exchanged
        assert [exchanged.r2, exchanged.r2_continual] == pytest.approx([1, 1], abs=1e-5)
        assert exchanged.parameters["a1"] == pytest.approx(true["a1"], abs=0.02)
        assert exchanged.parameters["a2"] == pytest.approx(true["a2"], rel=0.05)
        assert exchanged.huber_sum < 0.1 * printed.huber_sum
        errors = {ratio: one.mean_relative_error for ratio, one in exchanged.ratios.items()}
        assert list(errors) == ["0", "0.33", "0.67", "1"]
        assert all(error is not None and error < 3e-4 for error in errors.values())
        # a linear growth is the most that the printed form can bend towards the exchanged one
        assert (printed.ratios["0.33"].mean_relative_error or 0) > 1e-3


def test_a_left_out_ratio_is_predicted_by_the_right_form(fig19: Fig19) -> None:
    for role in GROWTH:
        printed, exchanged = fig19.fits[role].printed, fig19.fits[role].exchanged
        assert list(exchanged.left_out) == ["0", "0.33", "0.67", "1"]
        assert exchanged.left_out_worst == max(exchanged.left_out.values()) < 1e-3
        assert printed.left_out_worst > 10 * exchanged.left_out_worst
        fitted = printed.ratios["0.33"].mean_relative_error
        assert fitted is not None
        assert printed.left_out["0.33"] > fitted


def test_the_two_readings_of_the_annealing_factor_are_one_law(fig19: Fig19) -> None:
    found = fig19.fits[Role.STRONG]
    assert found.r_pt is not None
    assert found.r_pt.huber_sum == pytest.approx(found.printed.huber_sum, rel=1e-3)
    assert found.r_pt.parameters["a1"] == pytest.approx(-found.printed.parameters["a1"], abs=1e-3)
    assert fig19.fits[Role.GENERAL].r_pt is None


def test_runs_are_grouped_by_ratio_and_schedule(fig19: Fig19) -> None:
    assert fig19.ratios["0"] == ["cpt_constant", "cpt_wsd"]
    assert fig19.ratios["1"] == ["replay_100_constant", "replay_100_wsd"]
    assert [schedule["0.67"] for schedule in fig19.schedules] == ["replay_67_constant", "replay_67_wsd"]


def test_eq_4_is_the_best_where_it_is_true(fig20: Fig20) -> None:
    for role, found in fig20.sets.items():
        original, mean = found.original, found.original.heldout.mean
        assert original.parameters == pytest.approx(TRUE[role], rel=0.05)
        assert mean is not None
        assert mean < 2e-4
        assert len(original.heldout.runs) == 8
        for variant in ("lr_weighted_01", "lr_weighted_02"):
            one = found.variants[variant]
            assert one.eps == one.fit.settings["lr_power"] == float(f"0.{variant[-1]}")
            assert one.heldout.mean is not None
            assert one.difference.low is not None
            assert one.difference.low > 0
            assert one.difference.mean == pytest.approx(one.heldout.mean - mean)
        assert found.variants["lr_weighted_02"].huber_sum > found.variants["lr_weighted_01"].huber_sum
        assert found.variants["power"].heldout.mean == pytest.approx(0, abs=5e-4)  # Eq. 4 is one of its cases
        assert found.carry_over.carried.heldout == original.heldout
        difference = found.carry_over.difference
        assert difference.high is not None
        assert difference.p is not None
        assert difference.high < 0
        assert difference.p < 0.05


def test_the_fit_of_figure_3_is_used_where_it_is_needed(
    data: FigureData, fig20: Fig20, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analysis_of_fig20, "VARIANTS", {})
    needing = replace(data, experiments=with_runs(data.experiments, "fig20", needs=["fig03"]))
    fits = {}
    for role, found in fig20.sets.items():
        fit = SkilledFit(**{key: getattr(found.original, key) for key in SkilledFit.model_fields})
        fits[role] = FitsOfSet(
            chosen=fit.model_copy(update={"huber_sum": 7.0}),
            paper_lambda=fit,
            other_carry_over=fit,
            free_sign_B=1.0,
            better_carry_over=True,
        )
    runs = data.experiments.figures["fig03"].runs
    known = Fig03(**choices(replace(data, figure="fig03")), runs=runs, paper_lambda=0.999, rows_used="", fits=fits)
    again = cast(Fig20, figures.analyse(replace(needing, results={"fig03": known})))
    for role, one in again.sets.items():
        assert one.original.huber_sum == 7.0
        assert one.original.heldout == fig20.sets[role].original.heldout
        assert one.carry_over.difference.mean == 0.0
        assert one.carry_over.difference.p is None
    fewer = known.model_copy(update={"runs": runs[:-1]})
    with pytest.raises(UserError, match="fitted to the runs of fig03"):
        figures.analyse(replace(needing, results={"fig03": fewer}))


def test_mistakes_are_named(data: FigureData, replayed: FigureData) -> None:
    without = replace(data, experiments=with_runs(data.experiments, "fig20", heldout=[]))
    with pytest.raises(UserError, match="fig20 has no held-out runs"):
        figures.analyse(without)
    one = with_runs(data.experiments, "fig19", runs=["pt_constant", "cpt_constant"])
    with pytest.raises(UserError, match="several replay ratios and has 1"):
        figures.analyse(replace(replayed, experiments=one))
    untrained = replayed.curves[replayed.curves["run"] != "cpt_wsd"], replayed.schedules
    with pytest.raises(UserError, match="no rows of the run 'cpt_wsd'"):
        figures.analyse(replace(replayed, tables=untrained))


def test_figure_19_draws_every_ratio_with_both_forms(replayed: FigureData, fig19: Fig19) -> None:
    figure, table = figures.draw(replayed, fig19)
    for role in GROWTH:
        series = set(table.loc[table["panel"] == role, "series"])
        assert series == {
            f"{kind}, {share} % replay" for kind in ("measured", "printed", "exchanged") for share in (0, 33, 67, 100)
        }
    assert table["y"].notna().all()
    said = " ".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))
    assert f"{fig19.fits[Role.STRONG].printed.r2:.4f}" in said
    assert "paper, 106M" in said
    close = table[table["series"].str.startswith("exchanged")].set_index(["panel", "run", "x"])["y"]
    measured = table[table["series"].str.startswith("measured")].set_index(["panel", "run", "x"])["y"]
    both = measured.to_frame("m").join(close.to_frame("c"), how="inner")
    assert len(both) > 50
    assert (both["m"] - both["c"]).abs().max() < 0.01


def test_figure_20_draws_each_variant_and_the_held_out_errors(data: FigureData, fig20: Fig20) -> None:
    figure, table = figures.draw(data, fig20)
    assert set(table["panel"]) == {"general", "strong", "general_heldout", "strong_heldout"}
    found = fig20.sets[Role.STRONG]
    curve = table[(table["panel"] == "strong") & (table["series"] == "power, law") & (table["run"] == "cpt_wsd")]
    assert {3000, 3001, 4500} <= set(curve["x"])  # the ends of both phases
    drawn = table[(table["panel"] == "strong_heldout") & (table["series"] == "Eq. 10")].set_index("run")["x"]
    errors = {run: 100 * (value or 0) for run, value in found.variants["power"].heldout.runs.items()}
    assert drawn.to_dict() == pytest.approx(errors)
    said = " ".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))
    assert f"{found.variants['lr_weighted_02'].r2:.4f}" in said
    assert "cpt potential 50" in said


def test_checks_of_figure_19(fig19: Fig19) -> None:
    found = outcomes(fig19)
    assert len(found) == 12
    for path, one in found.items():
        assert one.value is not None
        if "exchanged" in path:
            assert one.holds, path
    # without the right growths no left-out ratio is predicted
    assert not any(found[f"fig19.fits.{role}.printed.left_out_worst"].holds for role in GROWTH)


def test_checks_of_figure_20(fig20: Fig20) -> None:
    found = outcomes(fig20)
    assert len(found) == 14
    assert all(one.value is not None for one in found.values())
    for role in fig20.sets:
        assert found[f"fig20.sets.{role}.carry_over.difference.high"].holds
        assert found[f"fig20.sets.{role}.variants.power.difference.high"].holds


def test_words_and_table_are_made(data: FigureData, replayed: FigureData, fig19: Fig19, fig20: Fig20) -> None:
    notes = figures.text(replayed, fig19).notes
    assert len(notes) == 5
    assert any("paper 3.24" in note for note in notes)
    assert any("Eq.~4" in note for note in figures.text(data, fig20).notes)
    table = table2(material(data, fig20))
    assert len(table.rows) == 8
    rows = as_csv(table).splitlines()
    mean = fig20.sets[Role.GENERAL].original.heldout.mean
    assert mean is not None
    assert rows[1].startswith("D_pt,Eq. 4,0.0016,")
    assert f"{100 * mean:.3f} %" in rows[1]
    assert "0.9984" in rows[-1]
    assert r"\label{tab:table2}" in as_latex(table, "table2")


def material(data: FigureData, result: Fig20) -> Material:
    """What the report is made from, of one figure."""
    found = Material(data.config)
    vars(found)["_read"] = {"fig20": result}  # in place of files
    return found


def test_numbers_that_are_not_defined_are_dashes(data: FigureData, fig20: Fig20) -> None:
    general = fig20.sets[Role.GENERAL]
    power = general.variants["power"]
    nothing = power.difference.model_copy(update={"mean": None, "low": None, "high": None, "p": None})
    undefined = power.model_copy(update={"r2": None, "difference": nothing})
    empty = fig20.model_copy(
        update={"sets": {Role.GENERAL: general.model_copy(update={"variants": {"power": undefined}})}}
    )
    assert as_csv(table2(material(data, empty))).splitlines()[2].endswith(",")
    found = outcomes(empty)
    for end in ("low", "high"):
        assert found[f"fig20.sets.general.variants.power.difference.{end}"].value is None
        assert not found[f"fig20.sets.general.variants.power.difference.{end}"].holds
