"""Figs. 9, 21 and 22 (out-of-domain sets), Fig. 18 (unknown pre-training) and the same-data control."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from paper_runs import OUT_OF_DOMAIN, TRUE, made

from cpt_dynamics import files, plots
from cpt_dynamics.analysis import analyse, fig18, fig21
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import style
from cpt_dynamics.laws import get
from cpt_dynamics.plots.fig18 import equation
from cpt_dynamics.reporting.checks import Claims
from cpt_dynamics.reporting.figures import control as control_text
from cpt_dynamics.reporting.figures import fig09 as fig09_text
from cpt_dynamics.reporting.figures import fig18 as fig18_text
from cpt_dynamics.reporting.figures import fig21 as fig21_text
from cpt_dynamics.reporting.figures import fig22 as fig22_text
from cpt_dynamics.reporting.material import Material

FIGURES = ["fig21", "fig22", "fig09", "fig18", "control"]
TEXTS: dict[str, Any] = {
    "fig21": fig21_text,
    "fig22": fig22_text,
    "fig09": fig09_text,
    "fig18": fig18_text,
    "control": control_text,
}
Data = tuple[pd.DataFrame, pd.DataFrame, Config, Experiments]
Fits = dict[str, dict[str, Any]]


def only(data: Data, runs: list[str]) -> Data:
    """The tables with the rows of some runs."""
    curves, schedules, config, experiments = data
    return curves[curves["run"].isin(runs)], schedules[schedules["run"].isin(runs)], config, experiments


def changed(experiments: Experiments, figure: str, **update: Any) -> Experiments:
    """The experiments with another entry of a figure."""
    entry = experiments.figures[figure].model_copy(update=update)
    return dataclasses.replace(experiments, figures={**experiments.figures, figure: entry})


def rendered(figure: Figure) -> Any:
    """The renderer of a figure that has been laid out."""
    canvas: Any = FigureCanvasAgg(figure)  # its methods have no types
    canvas.draw()
    return canvas.get_renderer()


@pytest.fixture(scope="module")
def data() -> Data:
    """Exact curves of the runs of these figures; the control has a pair under a constant LR, too."""
    curves, schedules, config, experiments = made(0.0)
    curves = curves.assign(loss=curves["loss"].round(9))  # runs that are trained as one agree to the last digit
    runs = list(dict.fromkeys([*experiments.figures["control"].runs, "cpt_constant"]))
    experiments = changed(experiments, "control", runs=runs)
    needed = [run for figure in FIGURES for run in experiments.runs_of(figure)]
    return only((curves, schedules, config, experiments), needed)


@pytest.fixture(scope="module")
def fits(data: Data) -> Fits:
    """All results; of the unknown model with fewer starts, as exact losses have fewer valleys."""
    found: Fits = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fig18, "STARTS", 8)
        for figure in FIGURES:
            found[figure] = analyse(figure, *data, found)
    return found


def with_sets(config: Config, *names: str) -> Config:
    """The configuration with some of the out-of-domain sets."""
    return config.model_copy(update={"roles": config.roles.model_copy(update={"out_of_domain": list(names)})})


def test_weights_are_found_and_held_out_runs_predicted(fits: Fits) -> None:
    sets = fits["fig21"]["sets"]
    assert list(sets) == [*OUT_OF_DOMAIN, "mathematics"]
    for name, (general, domain) in OUT_OF_DOMAIN.items():
        found = sets[name]
        assert found["weights"] == pytest.approx({"general": general, "domain": domain}, abs=1e-6)
        assert found["heldout"]["mean_absolute_error"] < 1e-6
        assert found["heldout"]["r2"] > 0.999999
        assert found["gain"] < 1e-3
        assert set(found["heldout"]["runs"]) == set(fits["fig21"]["heldout_runs"])
        assert found["intervals"] is not None
    assert sets["mathematics"]["heldout"]["mean_absolute_error"] > 0.01  # its losses follow a law of their own


def test_the_error_of_a_set_averages_runs_of_unlike_length(data: Data) -> None:
    curves, schedules, config, experiments = data
    most = curves["run"].eq("peak_50") & curves["phase"].eq("continual") & curves["phase_step"].gt(8)
    off = curves["run"].eq("peak_50") & curves["validation"].eq("tests") & curves["phase"].eq("continual")
    moved = curves.assign(loss=curves["loss"] + 0.1 * off)[~most]
    found = analyse("fig21", moved, schedules, with_sets(config, "tests"), experiments)["sets"]["tests"]["heldout"]
    assert len(found["runs"]["peak_50"]["steps"]) == 4
    assert found["runs"]["peak_50"]["mean"] == pytest.approx(0.1, abs=1e-6)
    assert found["mean_absolute_error"] == pytest.approx(0.1 / len(found["runs"]), abs=1e-6)


def test_held_out_losses_do_not_move_the_weights(data: Data, fits: Fits) -> None:
    curves, schedules, config, experiments = data
    held = curves["run"].isin(experiments.figures["fig21"].heldout)
    moved = curves.assign(loss=curves["loss"] + held)
    found = analyse("fig21", moved, schedules, with_sets(config, "tests"), experiments)["sets"]["tests"]
    assert found["weights"] == fits["fig21"]["sets"]["tests"]["weights"]
    assert found["heldout"]["mean_absolute_error"] > 0.05


def test_a_constant_offset_takes_the_form_with_an_intercept(data: Data) -> None:
    curves, schedules, config, experiments = data
    moved = curves.assign(loss=curves["loss"] + 0.5 * curves["validation"].eq("stubs"))
    found = analyse("fig21", moved, schedules, with_sets(config, "stubs"), experiments)["sets"]["stubs"]
    assert found["intercept"]["weights"]["intercept"] == pytest.approx(0.5, abs=1e-6)
    assert found["intercept"]["gain"] < 1e-3
    assert found["heldout"]["mean_absolute_error"] > 1e-3


def test_rows_that_a_fitted_run_shares_are_not_held_out(data: Data) -> None:
    curves, _, config, experiments = data
    entry = experiments.figures["fig21"].model_copy(update={"heldout": ["cpt_wsd", "peak_50"]})
    _, heldout = fig21.losses(curves, config, entry, experiments, "tests")
    assert set(heldout["run"]) == {"peak_50"}


def test_a_set_that_a_run_trains_on_is_no_out_of_domain_set(data: Data) -> None:
    _, _, config, experiments = data
    entry = experiments.figures["fig21"].model_copy(update={"heldout": ["weak_cosine"]})
    assert fig21.sets(config, experiments, entry) == list(OUT_OF_DOMAIN)


def test_shares_and_gains_are_those_of_the_sets(fits: Fits) -> None:
    found, sets = fits["fig22"], fits["fig21"]["sets"]
    within = [one["heldout"]["mean_absolute_error"] <= 0.02 for one in sets.values()]
    assert found["share_within"] == pytest.approx(np.mean(within))
    assert 0 < found["share_within"] < 1
    assert found["gain"] == pytest.approx(np.median([one["gain"] for one in sets.values()]))
    for name, one in found["sets"].items():
        assert len(one["absolute_errors"]) == sets[name]["rows"]["heldout"]
        assert max(one["absolute_errors"]) == one["worst_absolute_error"]


def test_the_sets_that_rise_and_fall_most_are_shown(fits: Fits) -> None:
    found, sets = fits["fig09"], fits["fig21"]["sets"]
    changes = {name: one["change"]["mean"] for name, one in sets.items()}
    rising, falling = found["directions"]["rising"], found["directions"]["falling"]
    assert changes[rising["validation"]] == max(changes.values()) > 0
    assert changes[falling["validation"]] == min(changes.values()) < 0
    for one in (rising, falling):
        assert one["mean_absolute_error"]["measured"] < 1e-5
        assert one["mean_absolute_error"]["law"] < 5e-3
    assert len(set(found["shown"].values())) == 3


def test_nothing_of_pretraining_enters_the_unknown_model(data: Data, fits: Fits) -> None:
    curves, schedules, config, experiments = data
    runs = experiments.runs_of("fig18")
    before = curves["phase"].eq("pretraining")
    features, plans = fig18.unknown(curves, schedules, config, runs)
    spoilt, same = fig18.unknown(curves.assign(loss=curves["loss"] + 9.0 * before), schedules, config, runs)
    pd.testing.assert_frame_equal(features.drop(columns="history"), spoilt.drop(columns="history"))
    pd.testing.assert_frame_equal(plans, same)
    assert (features[["s1pt", "s2pt"]] == 0).all(axis=None)
    assert features["step"].min() == features["phase_step"].min() == 1
    assert (features["history"].map(lambda past: past.start) == 0).all()
    assert fits["fig18"]["sets"]["strong"]["first_step_fitted"] == 1


def test_short_runs_predict_the_unshared_part_of_the_long_one(data: Data, fits: Fits) -> None:
    curves, _, _, experiments = data
    found = fits["fig18"]
    assert found["validations"]["proxy"] == "science"
    shared = 1200  # the stable stretch of unknown_middle
    long = curves["run"].eq("unknown_long") & curves["phase"].eq("continual") & curves["validation"].eq("code")
    for one in found["sets"].values():
        assert one["fitted"]["mean_relative_error"] < 1e-3
        assert one["heldout"]["mean_relative_error"] < 5e-3
        assert one["over_last_value"] < 0.5
        assert one["heldout_rows"]["all"] == int(long.sum())
        assert one["heldout_rows"]["unseen"] == int((long & curves["phase_step"].gt(shared)).sum())
        assert one["form"] == min(one["forms"], key=lambda name: one["forms"][name]["huber_sum"])
    assert found["sets"]["strong"]["parameters"]["B"] < 0
    before = experiments.runs["pt_potential_0"]
    assert found["true_s1pt"]["unknown_long"] == pytest.approx(before.lr.sum(), rel=0.05)


def test_the_printed_equations_keep_their_signs(fits: Fits) -> None:
    first = fits["fig18"]["published"][0]["parameters"]
    assert "- 6.95" in equation(first)
    assert "^{0.022}" in equation(first)


def test_controls_follow_eq_2_and_shifts_depend_on_the_area_alone(fits: Fits) -> None:
    found = fits["control"]
    assert found["pairs"] == {
        "cpt_wsd": "replay_100_wsd",
        "cpt_cosine": "replay_100_cosine",
        "cpt_constant": "replay_100_constant",
    }
    assert found["pretraining_runs"] == ["pt_wsd", "pt_cosine", "pt_constant", "hidden_constant"]
    for role, one in found["sets"].items():
        assert one["residual_share"] < 0.05
        assert one["refitted"]["residual_share"] <= one["residual_share"]
        # under a constant LR the control is the hidden curve, which is fitted
        assert set(one["residuals"]) == {"replay_100_wsd", "replay_100_cosine"}
        assert one["overlap"]["s1cpt"]["relative"] < 0.02 < one["overlap"]["phase_step"]["relative"]
        table = pd.DataFrame(one["shifts"])
        true = get("shift_power").predict(TRUE[role], {"s1cpt": table["s1cpt"].to_numpy()})
        assert np.abs(table["shift"] - true).max() < 1e-6


def test_a_shift_that_the_lr_makes_is_seen(data: Data) -> None:
    curves, schedules, config, experiments = data
    at = curves["run"].isin(["replay_100_wsd", "replay_100_cosine"]) & curves["phase"].eq("continual")
    found = analyse("control", curves.assign(loss=curves["loss"] + 0.4 * at), schedules, config, experiments)
    assert found["sets"]["general"]["residual"] == pytest.approx(0.4, rel=0.1)
    assert found["sets"]["general"]["residual_share"] > 0.5
    assert found["sets"]["general"]["overlap"]["s1cpt"]["relative"] > 0.2


def test_every_number_of_the_claims_is_there(fits: Fits) -> None:
    claims = yaml.safe_load(Path("config/claims.yaml").read_text())["claims"]
    paths = [c["value"].split(".") for claim in claims.values() for c in claim["criteria"].values()]
    mine = [path for path in paths if path[0] in fits]
    assert len(mine) == 6
    for figure, *keys in mine:
        value: Any = fits[figure]
        for key in keys:
            value = value[key]
        assert isinstance(value, float), (figure, keys)


@pytest.mark.parametrize("figure", FIGURES)
def test_results_are_json_and_figures_are_drawn(figure: str, data: Data, fits: Fits, tmp_path: Path) -> None:
    _, _, config, experiments = data
    files.write_json(tmp_path / "result.json", fits[figure])
    stored = files.read_json(tmp_path / "result.json")
    assert stored == fits[figure]
    runs = experiments.runs_of(figure)
    drawn, table = plots.draw(figure, *only(data, runs)[:2], stored, config)
    assert len(table) > 20
    assert table["y"].notna().all()
    with style.context():
        box = drawn.get_tightbbox(rendered(drawn))
    width, height = drawn.get_size_inches()
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= width
    assert box.y1 <= height


def text(figure: str, config: Config, fits: Fits) -> Claims:
    """The text of a figure from given results."""
    material = Material(config)
    material._results.update(fits)
    claims: Claims = TEXTS[figure].claims(material)
    return claims


@pytest.mark.parametrize("figure", FIGURES)
def test_texts_state_the_numbers(figure: str, data: Data, fits: Fits) -> None:
    found = text(figure, data[2], fits)
    assert found.shows
    assert found.paper
    assert found.notes
    values = [check.value for check in found.checks]
    assert len(values) >= 2
    assert all(value is not None for value in values)
    if figure == "fig18":
        assert found.checks[0].value == fits["fig18"]["sets"]["proxy"]["heldout"]["mean_relative_error"]
    if figure == "fig21":
        assert "PhilPapers 1.505" in found.paper
        assert not next(check for check in found.checks if "mathematics" in check.label).holds


def test_without_out_of_domain_sets_there_is_nothing_to_decide(data: Data) -> None:
    curves, schedules, config, experiments = data
    none = with_sets(config)
    assert fig18.validations(none, [experiments.runs["unknown_long"]])["proxy"] == "mathematics"
    trained = none.model_copy(update={"roles": none.roles.model_copy(update={"weak": "code"})})
    found: Fits = {}
    for figure in ("fig21", "fig22", "fig09"):
        found[figure] = analyse(figure, curves, schedules, trained, experiments, found)
        drawn, table = plots.draw(figure, curves, schedules, found[figure], trained)
        assert not len(table)
        rendered(drawn)
        assert not any(check.holds for check in text(figure, trained, found).checks)
    assert found["fig22"]["share_within"] is None
    assert found["fig22"]["gain"] is None
    assert found["fig09"]["directions"] == {"rising": None, "falling": None}


def test_mistakes_are_named(data: Data, fits: Fits) -> None:
    curves, schedules, config, experiments = data
    for figure in ("fig09", "fig22"):
        with pytest.raises(UserError, match="fig21: list it under `needs`"):
            analyse(figure, curves, schedules, config, experiments)
    for figure in ("fig18", "fig21"):
        with pytest.raises(UserError, match=f"{figure} has no held-out runs"):
            analyse(figure, curves, schedules, config, changed(experiments, figure, heldout=[]))
    with pytest.raises(UserError, match="run 'unknown_short'"):
        analyse("fig18", curves[curves["run"] != "unknown_short"], schedules, config, experiments)
    with pytest.raises(UserError, match="validation set 'stubs'"):
        analyse("fig21", curves[curves["validation"] != "stubs"], schedules, config, experiments)
    with pytest.raises(UserError, match="run 'pt_wsd' of fig18 has no losses after a transfer"):
        analyse("fig18", curves, schedules, config, changed(experiments, "fig18", runs=["pt_wsd"]))
    lonely = changed(experiments, "control", runs=["pt_wsd", "hidden_constant", "cpt_wsd"])
    with pytest.raises(UserError, match="control needs a run with CPT on handbook alone"):
        analyse("control", curves, schedules, config, lonely)
