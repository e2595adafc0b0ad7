"""Figures 19 and 20 and Table 2, on curves made from known laws."""

import dataclasses
from typing import Any

import pandas as pd
import pytest
import yaml
from cpt_dynamics.reporting.figures import fig19, fig20
from cpt_dynamics.reporting.material import Material
from cpt_dynamics.reporting.table import as_csv, as_latex
from cpt_dynamics.reporting.table2 import table2
from matplotlib.text import Text
from paper_runs import TRUE, made

from cpt_dynamics import plots
from cpt_dynamics.analysis import analyse
from cpt_dynamics.analysis import fig20 as analysis_of_fig20
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.laws import get

REPLAY = [
    "pt_constant",
    "pt_wsd",
    "cpt_constant",
    "cpt_wsd",
    *(f"replay_{share}_{shape}" for share in (33, 67, 100) for shape in ("constant", "wsd")),
]
# Growth of the annealing and of the shift in Eq. 8; B is that without replay over the growth at r_cpt = 1.
GROWTH = {
    "general": ("cpt_replay_general_convex", {**TRUE["general"], "a1": 0.2, "B": 0.46, "a2": 1.5}),
    "strong": ("cpt_replay_domain_saturating", {**TRUE["strong"], "a1": 0.2, "B": -2.2, "a2": 2.0}),
}
Data = tuple[pd.DataFrame, pd.DataFrame, Config, Experiments]
Results = dict[str, dict[str, Any]]


def with_runs(experiments: Experiments, figure: str, **update: list[str]) -> Experiments:
    entry = experiments.figures[figure].model_copy(update=update)
    return dataclasses.replace(experiments, figures={**experiments.figures, figure: entry})


@pytest.fixture(scope="module")
def data() -> Data:
    """Few rows of few runs; the losses of the runs with replay follow Eq. 8 with exchanged growths."""
    curves, schedules, config, experiments = made()
    experiments = with_runs(experiments, "fig19", runs=REPLAY)
    used = {*experiments.runs_of("fig19"), *experiments.runs_of("fig20")}
    seen = curves["validation"].isin(list(selection.roles(config).values()))
    few = (curves["phase_step"] < 64) | (curves["phase_step"] % 150 == 0)
    curves = curves[seen & few & curves["run"].isin(list(used))].reset_index(drop=True)
    schedules = schedules[schedules["run"].isin(list(used))].reset_index(drop=True)
    return curves, schedules, config, experiments


def with_replay(data: Data) -> pd.DataFrame:
    curves, schedules, config, experiments = data
    features = selection.with_replay(selection.with_areas(curves, schedules, config), experiments, config)
    made_by = curves.copy()
    for role, (law, parameters) in GROWTH.items():
        rows = curves["run"].isin(REPLAY) & (curves["validation"] == config.corpus_of(role))
        made_by.loc[rows, "loss"] = get(law).predict(parameters, features[rows])
    return made_by


@pytest.fixture(scope="module")
def results(data: Data) -> Results:
    curves, schedules, config, experiments = data
    return {
        "fig19": analyse("fig19", with_replay(data), schedules, config, experiments),
        "fig20": analyse("fig20", curves, schedules, config, experiments),
    }


@pytest.fixture
def material(data: Data, results: Results) -> Material:
    found = Material(data[2])
    found._results.update(results)
    return found


def test_the_right_growths_of_eq_8_are_found(results: Results) -> None:
    for role, (_, true) in GROWTH.items():
        found = results["fig19"]["fits"][role]
        printed, exchanged = found["printed"], found["exchanged"]
        assert exchanged["r2"] > 0.99999
        assert exchanged["r2_continual"] > 0.99999
        assert exchanged["parameters"]["a1"] == pytest.approx(true["a1"], abs=0.02)
        assert exchanged["parameters"]["a2"] == pytest.approx(true["a2"], rel=0.05)
        assert exchanged["huber_sum"] < 0.1 * printed["huber_sum"]
        errors = exchanged["ratios"]
        assert list(errors) == ["0", "0.33", "0.67", "1"]
        assert all(error["mean_relative_error"] < 3e-4 for error in errors.values())
        # a linear growth is the most that the printed form can bend towards the exchanged one
        assert printed["ratios"]["0.33"]["mean_relative_error"] > 1e-3


def test_a_left_out_ratio_is_predicted_by_the_right_form(results: Results) -> None:
    for role in GROWTH:
        found = results["fig19"]["fits"][role]
        left_out = found["exchanged"]["left_out"]
        assert list(left_out) == ["0", "0.33", "0.67", "1"]
        assert found["exchanged"]["left_out_worst"] == max(left_out.values()) < 1e-3
        assert found["printed"]["left_out_worst"] > 10 * found["exchanged"]["left_out_worst"]
        assert found["printed"]["left_out"]["0.33"] > found["printed"]["ratios"]["0.33"]["mean_relative_error"]


def test_the_two_readings_of_the_annealing_factor_are_one_law(results: Results) -> None:
    found = results["fig19"]["fits"]["strong"]
    assert found["r_pt"]["huber_sum"] == pytest.approx(found["printed"]["huber_sum"], rel=1e-3)
    assert found["r_pt"]["parameters"]["a1"] == pytest.approx(-found["printed"]["parameters"]["a1"], abs=1e-3)
    assert set(results["fig19"]["fits"]["general"]) == {"printed", "exchanged"}


def test_runs_are_grouped_by_ratio_and_schedule(results: Results) -> None:
    found = results["fig19"]
    assert found["ratios"]["0"] == ["cpt_constant", "cpt_wsd"]
    assert found["ratios"]["1"] == ["replay_100_constant", "replay_100_wsd"]
    assert [schedule["0.67"] for schedule in found["schedules"]] == ["replay_67_constant", "replay_67_wsd"]


def test_eq_4_is_the_best_where_it_is_true(results: Results) -> None:
    for role, found in results["fig20"]["sets"].items():
        original = found["original"]
        assert original["parameters"] == pytest.approx(TRUE[role], rel=0.05)
        assert original["heldout"]["mean"] < 2e-4
        assert len(original["heldout"]["runs"]) == 8
        for variant in ("lr_weighted_01", "lr_weighted_02"):
            one = found["variants"][variant]
            assert one["eps"] == one["fit"]["settings"]["lr_power"] == float(f"0.{variant[-1]}")
            assert one["difference"]["low"] > 0
            assert one["difference"]["mean"] == pytest.approx(one["heldout"]["mean"] - original["heldout"]["mean"])
        assert found["variants"]["lr_weighted_02"]["huber_sum"] > found["variants"]["lr_weighted_01"]["huber_sum"]
        power = found["variants"]["power"]
        assert power["heldout"]["mean"] < 5e-4  # Eq. 4 is one of its cases
        carry = found["carry_over"]
        assert carry["carried"]["heldout"] == original["heldout"]
        assert carry["difference"]["high"] < 0
        assert carry["difference"]["p"] < 0.05


def test_the_fit_of_figure_3_is_used_where_it_is_given(
    data: Data, results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analysis_of_fig20, "VARIANTS", {})
    curves, schedules, config, experiments = data
    runs = list(experiments.figures["fig03"].runs)
    sets = results["fig20"]["sets"]
    fits = {
        role: {"chosen": {**found["original"], "huber_sum": 7.0}, "other_carry_over": found["original"]}
        for role, found in sets.items()
    }
    again = analyse("fig20", curves, schedules, config, experiments, {"fig03": {"runs": runs, "fits": fits}})
    for role, found in again["sets"].items():
        assert found["original"]["huber_sum"] == 7.0
        assert found["original"]["heldout"] == sets[role]["original"]["heldout"]
        assert found["carry_over"]["difference"]["mean"] == 0.0
        assert found["carry_over"]["difference"]["p"] is None
    with pytest.raises(UserError, match="fitted to the runs of fig03"):
        analyse("fig20", curves, schedules, config, experiments, {"fig03": {"runs": runs[:-1], "fits": fits}})


def test_mistakes_are_named(data: Data) -> None:
    curves, schedules, config, experiments = data
    with pytest.raises(UserError, match="fig20 has no held-out runs"):
        analyse("fig20", curves, schedules, config, with_runs(experiments, "fig20", heldout=[]))
    one = with_runs(experiments, "fig19", runs=["pt_constant", "cpt_constant"])
    with pytest.raises(UserError, match="several replay ratios and has 1"):
        analyse("fig19", curves, schedules, config, one)
    with pytest.raises(UserError, match="no rows of the run 'cpt_wsd'"):
        analyse("fig19", curves[curves["run"] != "cpt_wsd"], schedules, config, experiments)


def test_numbers_of_the_findings_are_there(results: Results) -> None:
    with open("config/claims.yaml") as file:
        found = yaml.safe_load(file)["claims"]
    values = [c["value"].split(".") for claim in found.values() for c in claim["criteria"].values()]
    kept = [path for path in values if path[0] in results]
    assert len(kept) == 8 + 14
    for figure, *keys in kept:
        value: Any = results[figure]
        for key in keys:
            value = value[key]
        assert isinstance(value, float), (figure, keys)


def test_figure_19_draws_every_ratio_with_both_forms(data: Data, results: Results) -> None:
    _, schedules, config, _ = data
    figure, table = plots.draw("fig19", with_replay(data), schedules, results["fig19"], config)
    for role in GROWTH:
        series = set(table.loc[table["panel"] == role, "series"])
        assert series == {
            f"{kind}, {share} % replay" for kind in ("measured", "printed", "exchanged") for share in (0, 33, 67, 100)
        }
    assert table["y"].notna().all()
    said = " ".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))
    assert f"{results['fig19']['fits']['strong']['printed']['r2']:.4f}" in said
    assert "paper, 106M" in said
    close = table[table["series"].str.startswith("exchanged")].set_index(["panel", "run", "x"])["y"]
    measured = table[table["series"].str.startswith("measured")].set_index(["panel", "run", "x"])["y"]
    both = measured.to_frame("m").join(close.to_frame("c"), how="inner")
    assert len(both) > 50
    assert (both["m"] - both["c"]).abs().max() < 0.01


def test_figure_20_draws_each_variant_and_the_held_out_errors(data: Data, results: Results) -> None:
    curves, schedules, config, _ = data
    figure, table = plots.draw("fig20", curves, schedules, results["fig20"], config)
    assert set(table["panel"]) == {"general", "strong", "general_heldout", "strong_heldout"}
    found = results["fig20"]["sets"]["strong"]
    curve = table[(table["panel"] == "strong") & (table["series"] == "power, law") & (table["run"] == "cpt_wsd")]
    assert {3000, 3001, 4500} <= set(curve["x"])  # the ends of both phases
    drawn = table[(table["panel"] == "strong_heldout") & (table["series"] == "Eq. 10")].set_index("run")["x"]
    errors = {run: 100 * value for run, value in found["variants"]["power"]["heldout"]["runs"].items()}
    assert drawn.to_dict() == pytest.approx(errors)
    said = " ".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))
    assert f"{found['variants']['lr_weighted_02']['r2']:.4f}" in said
    assert "cpt potential 50" in said


def test_text_and_table_are_made(material: Material, results: Results) -> None:
    one, two = fig19.claims(material), fig20.claims(material)
    assert {check.label: check.holds for check in one.checks}["R2 of Eq. 8 with exchanged growths on D_pt"]
    assert len(one.checks) == 12
    assert [check.holds for check in two.checks if check.label.startswith("the momentum")] == [True, True]
    assert any("paper 3.24" in note for note in one.notes)
    table = table2(material)
    assert len(table.rows) == 8
    rows = as_csv(table).splitlines()
    mean = results["fig20"]["sets"]["general"]["original"]["heldout"]["mean"]
    assert rows[1].startswith("D_pt,Eq. 4,0.0016,")
    assert f"{100 * mean:.3f} %" in rows[1]
    assert "0.9984" in rows[-1]
    assert r"\label{tab:table2}" in as_latex(table, "table2")


def test_numbers_that_are_not_defined_are_dashes(material: Material, results: Results) -> None:
    nothing = {"mean": None, "low": None, "high": None, "p": None}
    found = results["fig20"]["sets"]["general"]
    empty = {**found, "variants": {"power": {**found["variants"]["power"], "r2": None, "difference": nothing}}}
    material._results["fig20"] = {"sets": {"general": empty}}
    assert as_csv(table2(material)).splitlines()[2].endswith(",")
    assert not any(check.holds for check in fig20.claims(material).checks if "Eq. 10" in check.label)
