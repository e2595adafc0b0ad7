"""Figs. 9, 21 and 22 (out-of-domain sets), Fig. 18 (unknown pre-training) and the same-data control."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from worlds.figures import Tables, analysed, drawn, figure_data, outcomes, rendered
from worlds.runs import OUT_OF_DOMAIN, TRUE, made

from cpt_dynamics import figures, files
from cpt_dynamics.config import Config, Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.control.result import Result as Control
from cpt_dynamics.figures.fig09.result import Result as Fig09
from cpt_dynamics.figures.fig18 import analyse as fig18
from cpt_dynamics.figures.fig18.draw import equation
from cpt_dynamics.figures.fig18.result import Result as Fig18
from cpt_dynamics.figures.fig21 import analyse as fig21
from cpt_dynamics.figures.fig21.result import OutOfDomain
from cpt_dynamics.figures.fig21.result import Result as Fig21
from cpt_dynamics.figures.fig22.result import Result as Fig22
from cpt_dynamics.figures.kit import out_of_domain, style
from cpt_dynamics.figures.kit.result import FigureResult, read_result, to_json
from cpt_dynamics.laws import get

FIGURES = ["fig21", "fig22", "fig09", "fig18", "control"]
Data = Tables


@dataclass
class Fits:
    """Results of the figures."""

    fig21: Fig21
    fig22: Fig22
    fig09: Fig09
    fig18: Fig18
    control: Control

    def __iter__(self) -> Iterator[FigureResult]:
        return iter((self.fig21, self.fig22, self.fig09, self.fig18, self.control))


def only(data: Data, runs: list[str]) -> Data:
    """The tables with the rows of some runs."""
    curves, schedules, config, experiments = data
    return curves[curves["run"].isin(runs)], schedules[schedules["run"].isin(runs)], config, experiments


def changed(experiments: Experiments, figure: str, **update: Any) -> Experiments:
    """The experiments with another entry of a figure."""
    entry = experiments.figures[figure].model_copy(update=update)
    return dataclasses.replace(experiments, figures={**experiments.figures, figure: entry})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Exact curves of the runs of these figures; the control has a pair under a constant LR, too."""
    curves, schedules, config, experiments = made(0.0)
    config = config.model_copy(update={"results": str(tmp_path_factory.mktemp("results"))})  # nothing is there
    curves = curves.assign(loss=curves["loss"].round(9))  # runs that are trained as one agree to the last digit
    runs = list(dict.fromkeys([*experiments.figures["control"].runs, "cpt_constant"]))
    experiments = changed(experiments, "control", runs=runs)
    needed = [run for figure in FIGURES for run in experiments.runs_of(figure)]
    return only((curves, schedules, config, experiments), needed)


@pytest.fixture(scope="module")
def fits(data: Data) -> Fits:
    """All results; of the unknown model with fewer starts, as exact losses have fewer valleys."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fig18, "STARTS", 8)
        known = analysed(Fig21, data)
        others = (analysed(Fig22, data, [known]), analysed(Fig09, data, [known]), analysed(Fig18, data))
        return Fits(known, *others, analysed(Control, data))


def with_sets(config: Config, *names: str) -> Config:
    """The configuration with some of the out-of-domain sets."""
    return config.model_copy(update={"roles": config.roles.model_copy(update={"out_of_domain": list(names)})})


def of_set(name: str, data: Data, curves: pd.DataFrame) -> OutOfDomain:
    """Eq. 6 on one set, from other curves."""
    _, schedules, config, experiments = data
    return analysed(Fig21, (curves, schedules, with_sets(config, name), experiments)).sets[name]


def test_weights_are_found_and_held_out_runs_predicted(fits: Fits) -> None:
    sets = fits.fig21.sets
    assert list(sets) == [*OUT_OF_DOMAIN, "mathematics"]
    for name, (general, domain) in OUT_OF_DOMAIN.items():
        found = sets[name]
        assert found.weights == pytest.approx({"general": general, "domain": domain}, abs=1e-6)
        assert found.heldout.mean_absolute_error == pytest.approx(0, abs=1e-6)
        assert found.heldout.r2 == pytest.approx(1, abs=1e-6)
        assert found.gain == pytest.approx(0, abs=1e-3)
        assert set(found.heldout.runs) == set(fits.fig21.heldout_runs)
        assert found.intervals is not None
    assert (sets["mathematics"].heldout.mean_absolute_error or 0.0) > 0.01  # its losses follow a law of their own


def test_the_error_of_a_set_averages_runs_of_unlike_length(data: Data) -> None:
    curves = data[0]
    most = curves["run"].eq("peak_50") & curves["phase"].eq("continual") & curves["phase_step"].gt(8)
    off = curves["run"].eq("peak_50") & curves["validation"].eq("tests") & curves["phase"].eq("continual")
    found = of_set("tests", data, curves.assign(loss=curves["loss"] + 0.1 * off)[~most]).heldout
    assert len(found.runs["peak_50"].steps) == 4
    assert found.runs["peak_50"].mean == pytest.approx(0.1, abs=1e-6)
    assert found.mean_absolute_error == pytest.approx(0.1 / len(found.runs), abs=1e-6)


def test_held_out_losses_do_not_move_the_weights(data: Data, fits: Fits) -> None:
    curves, _, _, experiments = data
    held = curves["run"].isin(experiments.figures["fig21"].heldout)
    found = of_set("tests", data, curves.assign(loss=curves["loss"] + held))
    assert found.weights == fits.fig21.sets["tests"].weights
    assert (found.heldout.mean_absolute_error or 0.0) > 0.05


def test_a_constant_offset_takes_the_form_with_an_intercept(data: Data) -> None:
    curves = data[0]
    found = of_set("stubs", data, curves.assign(loss=curves["loss"] + 0.5 * curves["validation"].eq("stubs")))
    assert found.intercept.weights["intercept"] == pytest.approx(0.5, abs=1e-6)
    assert found.intercept.gain == pytest.approx(0, abs=1e-3)
    assert (found.heldout.mean_absolute_error or 0.0) > 1e-3


def test_rows_that_a_fitted_run_shares_are_not_held_out(data: Data) -> None:
    curves, _, config, experiments = data
    entry = experiments.figures["fig21"].model_copy(update={"heldout": ["cpt_wsd", "peak_50"]})
    _, heldout = out_of_domain.losses(curves, config, entry, experiments, "tests")
    assert set(heldout["run"]) == {"peak_50"}


def test_a_set_without_a_held_out_row_has_no_error(data: Data) -> None:
    curves, schedules, config, experiments = data
    shared = changed(experiments, "fig21", heldout=["cpt_wsd"])
    found = analysed(Fig21, (curves, schedules, with_sets(config, "tests"), shared)).sets["tests"]
    assert found.heldout.mean_absolute_error is None
    assert found.gain is None


def test_a_set_that_a_run_trains_on_is_no_out_of_domain_set(data: Data) -> None:
    _, _, config, experiments = data
    entry = experiments.figures["fig21"].model_copy(update={"heldout": ["weak_cosine"]})
    assert fig21.sets(config, experiments, entry) == list(OUT_OF_DOMAIN)


def test_shares_and_gains_are_those_of_the_sets(fits: Fits) -> None:
    found, sets = fits.fig22, fits.fig21.sets
    within = [(one.heldout.mean_absolute_error or 0.0) <= 0.02 for one in sets.values()]
    assert found.share_within == pytest.approx(np.mean(within))
    assert 0 < (found.share_within or 0.0) < 1
    assert found.gain == pytest.approx(np.median([one.gain or 0.0 for one in sets.values()]))
    for name, one in found.sets.items():
        assert len(one.absolute_errors) == sets[name].rows.heldout
        assert max(one.absolute_errors) == one.worst_absolute_error
    assert found.largest == max(max(one.absolute_errors) for one in found.sets.values())


def test_the_sets_that_rise_and_fall_most_are_shown(fits: Fits) -> None:
    changes = {name: one.change.mean for name, one in fits.fig21.sets.items()}
    rising, falling = fits.fig09.directions.rising, fits.fig09.directions.falling
    assert rising is not None
    assert falling is not None
    assert changes[rising.validation] == max(changes.values()) > 0
    assert changes[falling.validation] == min(changes.values()) < 0
    assert (fits.fig09.rises, fits.fig09.falls) == (True, True)
    for one in (rising, falling):
        assert one.mean_absolute_error.measured == pytest.approx(0, abs=1e-5)
        assert one.mean_absolute_error.law == pytest.approx(0, abs=5e-3)
    assert len(set(fits.fig09.shown.values())) == 3


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
    assert fits.fig18.sets[Role.STRONG].first_step_fitted == 1


def test_short_runs_predict_the_unshared_part_of_the_long_one(data: Data, fits: Fits) -> None:
    curves, _, _, experiments = data
    found = fits.fig18
    assert found.validations[Role.PROXY] == "science"
    shared = 1200  # the stable stretch of unknown_middle
    long = curves["run"].eq("unknown_long") & curves["phase"].eq("continual") & curves["validation"].eq("code")
    for one in found.sets.values():
        assert one.fitted.mean_relative_error == pytest.approx(0, abs=1e-3)
        assert one.heldout.mean_relative_error == pytest.approx(0, abs=5e-3)
        assert one.over_last_value is not None
        assert one.over_last_value < 0.5
        assert one.heldout_rows.all == int(long.sum())
        assert one.heldout_rows.unseen == int((long & curves["phase_step"].gt(shared)).sum())
        assert one.forms[one.form].huber_sum == min(form.huber_sum for form in one.forms.values())
    assert found.sets[Role.STRONG].parameters["B"] < 0
    before = experiments.runs["pt_potential_0"]
    assert found.true_s1pt["unknown_long"] == pytest.approx(before.lr.sum(), rel=0.05)


def test_the_printed_equations_keep_their_signs(fits: Fits) -> None:
    first = fits.fig18.published[0].parameters
    assert "- 6.95" in equation(first)
    assert "^{0.022}" in equation(first)


def test_controls_follow_eq_2_and_shifts_depend_on_the_area_alone(fits: Fits) -> None:
    found = fits.control
    assert found.pairs == {
        "cpt_wsd": "replay_100_wsd",
        "cpt_cosine": "replay_100_cosine",
        "cpt_constant": "replay_100_constant",
    }
    assert found.pretraining_runs == ["pt_wsd", "pt_cosine", "pt_constant", "hidden_constant"]
    for role, one in found.sets.items():
        assert one.residual_share is not None
        assert one.refitted.residual_share is not None
        assert one.overlap is not None
        assert one.refitted.residual_share <= one.residual_share < 0.05
        # under a constant LR the control is the hidden curve, which is fitted
        assert set(one.residuals) == {"replay_100_wsd", "replay_100_cosine"}
        by_area, by_step = one.overlap.s1cpt.relative, one.overlap.phase_step.relative
        assert by_area is not None
        assert by_step is not None
        assert by_area < 0.02 < by_step
        table = pd.DataFrame(dict(one.shifts))
        true = get("shift_power").predict(TRUE[role], {"s1cpt": table["s1cpt"].to_numpy()})
        assert np.abs(table["shift"] - true).max() < 1e-6


def test_a_shift_that_the_lr_makes_is_seen(data: Data) -> None:
    curves, *_ = data
    at = curves["run"].isin(["replay_100_wsd", "replay_100_cosine"]) & curves["phase"].eq("continual")
    found = analysed(Control, (curves.assign(loss=curves["loss"] + 0.4 * at), *data[1:])).sets[Role.GENERAL]
    assert found.residual == pytest.approx(0.4, rel=0.1)
    assert (found.residual_share or 0.0) > 0.5
    assert found.overlap is not None
    assert (found.overlap.s1cpt.relative or 0.0) > 0.2


@pytest.mark.parametrize("figure", FIGURES)
def test_results_are_json_and_figures_are_drawn(figure: str, data: Data, fits: Fits, tmp_path: Path) -> None:
    (result,) = (one for one in fits if figure == one.FIGURE)
    files.write_json(tmp_path / "result.json", to_json(result))
    stored = read_result(tmp_path / "result.json", type(result))
    assert to_json(stored) == to_json(result)
    figure_drawn, table = drawn(stored, only(data, data[3].runs_of(figure)))
    assert len(table) > 20
    assert table["y"].notna().all()
    with style.context():
        box = figure_drawn.get_tightbbox(rendered(figure_drawn))
    width, height = figure_drawn.get_size_inches()
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= width
    assert box.y1 <= height


@pytest.mark.parametrize("figure", FIGURES)
def test_checks_and_texts_state_the_numbers(figure: str, data: Data, fits: Fits) -> None:
    (result,) = (one for one in fits if figure == one.FIGURE)
    text = figures.text(figure_data(figure, data), result)
    assert text.shows
    assert text.paper
    assert text.notes
    checks = outcomes(result)
    assert len(checks) >= 2
    assert all(check.value is not None for check in checks)
    if figure == "fig18":
        found = next(check for check in checks if check.path == "fig18.sets.proxy.heldout.mean_relative_error")
        assert found.value == fits.fig18.sets[Role.PROXY].heldout.mean_relative_error
    if figure == "fig21":
        assert "PhilPapers 1.505" in text.paper
        assert not next(check for check in checks if "mathematics" in check.path).holds


def test_without_out_of_domain_sets_there_is_nothing_to_decide(data: Data) -> None:
    curves, schedules, config, experiments = data
    none = with_sets(config)
    assert fig18.validations(none, [experiments.runs["unknown_long"]])[Role.PROXY] == "mathematics"
    trained = none.model_copy(update={"roles": none.roles.model_copy(update={"weak": "code"})})
    tables = (curves, schedules, trained, experiments)
    known = analysed(Fig21, tables)
    errors, directions = analysed(Fig22, tables, [known]), analysed(Fig09, tables, [known])
    for result in (known, errors, directions):
        figure, table = drawn(result, tables)
        assert not len(table)
        rendered(figure)
        assert not any(check.holds for check in outcomes(result))
        assert figures.text(figure_data(result.FIGURE, tables), result).shows
    assert (errors.share_within, errors.gain, errors.largest) == (None, None, None)
    assert (directions.directions.rising, directions.directions.falling) == (None, None)


def test_mistakes_are_named(data: Data) -> None:
    curves, schedules, config, experiments = data

    def fails(kind: type[FigureResult], match: str, curves: pd.DataFrame = curves, **entry: Any) -> None:
        stated = changed(experiments, kind.FIGURE, **entry)
        with pytest.raises(UserError, match=match):
            analysed(kind, (curves, schedules, config, stated))

    for needing in (Fig09, Fig22):
        fails(needing, r"fig21\.json does not exist: make it first")
    for kind in (Fig18, Fig21):
        fails(kind, f"{kind.FIGURE} has no held-out runs", heldout=[])
    fails(Fig18, "run 'unknown_short'", curves[curves["run"] != "unknown_short"])
    fails(Fig21, "validation set 'stubs'", curves[curves["validation"] != "stubs"])
    fails(Fig18, "run 'pt_wsd' of fig18 has no losses after a transfer", runs=["pt_wsd"])
    lonely = ["pt_wsd", "hidden_constant", "cpt_wsd"]
    fails(Control, "control needs a run with CPT on handbook alone", runs=lonely)
