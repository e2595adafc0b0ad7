"""Figures 5, 6 and 7 from the kit's own runs: numbers against the law that made the curves, drawings and text."""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from paper_runs import TRUE, WEAK, loss, made

from cpt_dynamics import plots
from cpt_dynamics.analysis import analyse, fig07
from cpt_dynamics.analysis.fig05 import scenario_of, starts
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import selection, style
from cpt_dynamics.figures.kit.joint import SETS, joint
from cpt_dynamics.files import write_json
from cpt_dynamics.fitting import varpro
from cpt_dynamics.reporting.checks import Claims
from cpt_dynamics.reporting.figures import fig05 as text05
from cpt_dynamics.reporting.figures import fig06 as text06
from cpt_dynamics.reporting.figures import fig07 as text07
from cpt_dynamics.reporting.material import Material

FIGURES = ("fig05", "fig06", "fig07")
NOISE = 0.003
TEXTS = {"fig05": text05, "fig06": text06, "fig07": text07}
Data = tuple[pd.DataFrame, pd.DataFrame, Config, Experiments]
Results = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def data() -> Data:
    return made(NOISE)


@pytest.fixture(scope="module", autouse=True)
def few_starts() -> Iterator[None]:
    """Fits from two starts, which are enough for curves that follow the law."""
    search = varpro.search
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(varpro, "search", lambda problem, number, *rest: search(problem, min(number, 2), *rest))
        yield


@pytest.fixture(scope="module")
def fits(data: Data) -> dict[str, Any]:
    """The fits of Fig. 3, and a seed noise."""
    curves, schedules, config, experiments = data
    runs = experiments.figures["fig03"].runs
    chosen = {role: {"chosen": joint(curves, schedules, config, runs, role).summary()} for role in SETS}
    return {"fig03": {"runs": runs, "fits": chosen}, "seeds": {"noise": {"general": NOISE, "strong": NOISE}}}


@pytest.fixture(scope="module")
def results(data: Data, fits: dict[str, Any]) -> Results:
    curves, schedules, config, experiments = data
    return {figure: analyse(figure, curves, schedules, config, experiments, fits) for figure in FIGURES}


def listing(experiments: Experiments, figure: str, runs: list[str]) -> Experiments:
    """The experiments with other runs in a figure."""
    entry = experiments.figures[figure].model_copy(update={"runs": runs})
    return dataclasses.replace(experiments, figures={**experiments.figures, figure: entry})


def at(result: Mapping[str, Any], path: str) -> Any:
    """The value of a dotted path of config/claims.yaml."""
    found: Any = result
    for key in path.split(".")[1:]:
        found = found[key]
    return found


def test_results_are_plain_and_hold_what_the_claims_name(results: Results) -> None:
    named = re.findall(r"value: (fig0[567]\.[\w.]+)", Path("config/claims.yaml").read_text())
    assert len(named) == 9
    for path in named:
        assert isinstance(at(results[path.split(".")[0]], path), float), path
    for figure, result in results.items():
        json.dumps(result, allow_nan=False)
        assert result["figure"] == figure
        assert set(SETS) <= set(result["validations"])


# --- Fig. 5 -----------------------------------------------------------------------------------------------


def test_runs_are_told_apart_by_their_start(data: Data) -> None:
    _, _, _, experiments = data
    found = {s.run.name: s for s in starts(selection.transfers(experiments, experiments.figures["fig05"].runs))}
    assert len(found) == 24
    for name, start in found.items():
        potential = int(re.sub(r".*_(\d+)(\.seed\d)?$", r"\1", name)) / 100
        assert start.potential == pytest.approx(potential)
        assert start.panel == ("with" if name.startswith("rewarm") else "without")


def test_final_losses_and_predictions_are_those_of_the_law(data: Data, results: Results) -> None:
    _, _, config, experiments = data
    for panel in results["fig05"]["panels"].values():
        for item in panel["runs"]:
            true = loss(experiments.runs[item["run"]], "strong", config)[-1]
            assert item["loss"] == pytest.approx(true, abs=5 * NOISE)
            assert item["predicted"] == pytest.approx(true, abs=0.02)
            assert item["error"] == pytest.approx(item["predicted"] - item["loss"])
        # the curve of the trained length goes through the predictions at the trained potentials
        length = panel["lengths"][1]
        assert length["steps"] == panel["steps"] == config.lengths.continual
        drawn = np.interp(panel["potentials"], length["values"], length["loss"]["strong"])
        assert drawn == pytest.approx(panel["predicted"], abs=1e-9)
        assert [part["steps"] for part in panel["lengths"]] == [1000, 1500, 2000, 2500]


def test_trend_is_tested_over_seeds(results: Results) -> None:
    for panel in results["fig05"]["panels"].values():
        table = pd.DataFrame(panel["runs"])
        slopes = [np.polyfit(part["potential"], part["loss"], 1)[0] for _, part in table.groupby("seed")]
        assert panel["trend"]["n"] == 3
        assert panel["trend"]["mean"] == pytest.approx(np.mean(slopes))
        assert panel["trend"]["p"] < 0.05
        assert panel["order"] == 1.0
        assert panel["best"] == {"measured": 1.0, "predicted": 1.0, "agree": True, "seeds_agreeing": 1.0}


def test_one_seed_has_no_test_and_a_wrong_order_counts(data: Data, fits: dict[str, Any]) -> None:
    curves, schedules, config, experiments = data
    single = [run for run in experiments.figures["fig05"].runs if ".seed" not in run]
    raised = curves["run"].eq("cpt_potential_100") & curves["validation"].eq(config.roles.strong)
    worse = curves.assign(loss=curves["loss"] + 5.0 * raised)
    found = analyse("fig05", worse, schedules, config, listing(experiments, "fig05", single), fits)["panels"]
    assert (found["with"]["trend"]["p"], found["with"]["trend"]["n"]) == (None, 1)
    assert found["with"]["order"] == 1.0
    assert found["without"]["order"] == pytest.approx(2 / 3)
    assert found["without"]["trend"]["mean"] > 0
    assert found["without"]["best"]["measured"] == 0.5
    assert found["without"]["best"]["agree"] is False


def test_scenarios_are_read_from_the_runs(data: Data) -> None:
    _, _, config, experiments = data
    for name in ("cpt_potential_30", "rewarm_potential_0", "cpt_wsd_half", "unknown_long", "precritical", "peak_25"):
        run = experiments.runs[name]
        made_of = scenario_of(run, config)
        assert made_of is not None
        assert np.allclose(made_of.lr, run.lr, rtol=0, atol=1e-9)
    run = experiments.runs["peak_25"]
    bent = dataclasses.replace(run.phases[-1], lr=run.phases[-1].lr ** 1.5)
    assert scenario_of(dataclasses.replace(run, phases=(*run.phases[:-1], bent)), config) is None


# --- Fig. 6 -----------------------------------------------------------------------------------------------


def test_shifts_are_those_of_the_law(results: Results) -> None:
    found = results["fig06"]["domains"]["sets"]
    assert results["fig06"]["domains"]["runs"] == {"weak": "weak_constant", "strong": "cpt_constant"}
    for side, role, scale, true in (
        ("general", "strong", 1.0, TRUE["general"]),
        ("general", "weak", WEAK, TRUE["general"]),
        ("own", "strong", 1.0, TRUE["strong"]),
        ("own", "weak", 1.0, TRUE["weak"]),
    ):
        item = found[side][role]
        s1 = item["shifts"]["s1cpt"][-1]
        expected = scale * true["B"] * (1 - (1 + true["E"] * s1) ** -true["beta"])
        assert item["final"] == pytest.approx(expected, abs=6 * NOISE)
        assert item["power"]["r2"] > 0.99
        assert np.sign(item["power"]["parameters"]["B"]) == np.sign(true["B"])
        assert item["shifts"]["fitted"][-1] == pytest.approx(expected, abs=6 * NOISE)
    assert results["fig06"]["domains"]["weak_over_strong"]["general"] == pytest.approx(WEAK, abs=0.02)


def test_replay_scales_the_shift(results: Results) -> None:
    replay = results["fig06"]["replay"]
    assert sorted(replay["runs"].values()) == [0.0, 0.33, 0.5, 0.67, 1.0]
    for found in replay["sets"].values():
        assert found["monotone"] is True
        assert found["order"] == 1.0
        assert found["same_data"] == pytest.approx(0, abs=1e-9)
        for ratio, share in found["relative"].items():
            assert share == pytest.approx(1 - float(ratio), abs=0.02)
        assert found["runs"]["replay_100_constant"]["power"] is None
    printed = replay["printed_relative"]["general"]
    full = 0.366 * (1 - (1 + 28 * 4) ** -0.189)
    assert printed["0.33"] == pytest.approx(0.077 * (1 - (1 + 6 * 4) ** -0.608) / full)


def test_a_ratio_out_of_order_is_seen(data: Data) -> None:
    curves, schedules, config, experiments = data
    moved = curves["run"].eq("replay_67_constant") & curves["phase"].eq("continual")
    other = curves.assign(loss=curves["loss"] + 2.0 * moved)
    found = analyse("fig06", other, schedules, config, experiments)["replay"]["sets"]["general"]
    assert found["monotone"] is False
    assert found["order"] == pytest.approx(3 / 4)


# --- Fig. 7 -----------------------------------------------------------------------------------------------


def test_critical_point_is_the_loss_of_training_from_scratch(results: Results) -> None:
    critical = results["fig07"]["critical"]
    assert critical["runs"] == ["scratch_constant", "scratch_wsd"]
    # with C1 and C2 of the law that made the curves in one, the fit need not be exact
    assert critical["point"] == pytest.approx(TRUE["general"]["L0"] + 1.6, abs=0.03)
    assert critical["range"][0] <= critical["point"] <= critical["range"][1]
    assert critical["by_law"] == pytest.approx(TRUE["general"]["L0"] + TRUE["general"]["B"], abs=0.1)
    assert critical["reached"] == pytest.approx(1 - (1 + 20.0 * 1.5) ** -0.35, abs=0.05)
    assert critical["fit"]["r2"] > 0.99


def test_changes_and_turning_lengths_are_those_of_the_law(data: Data, results: Results) -> None:
    _, _, config, experiments = data
    found = results["fig07"]["runs"]
    assert list(found) == ["precritical", "weak_early", "weak_late", "unknown_long"]
    for name, run in found.items():
        true = loss(experiments.runs[name], "general", config)
        start, after = true[run["transfer"] - 1], true[run["transfer"] :]
        assert run["start"] == pytest.approx(start, abs=5 * NOISE)
        assert run["change_over_noise"] == pytest.approx((after[-1] - start) / NOISE, abs=8)
        assert run["turned_back"] == (after[-1] <= start)
        if run["turned_back"]:
            last = int(np.flatnonzero(after > start)[-1]) + 2
            assert run["turning"] == pytest.approx(last, abs=3 * config.evaluation.every)
            if run["law"] is not None:
                assert run["law"]["turning"] == pytest.approx(last, abs=0.3 * last)
    assert (found["precritical"]["above_critical"], found["unknown_long"]["above_critical"]) == (True, False)
    assert found["weak_late"]["above_critical"] is None
    assert found["unknown_long"]["law"]["never"] is True
    assert 0 < found["precritical"]["law"]["turning_length"] < 1500


@pytest.mark.parametrize(
    ("loss", "expected"),
    [([1, 3, 2.5, 1.9, 1.5], 8), ([3, 1.9, 2.1, 3], None), ([1, 2, 2, 1], 0), ([3, 1, 3, 2, 1], 8)],
)
def test_turning_is_the_step_from_which_the_loss_stays_below(loss: list[float], expected: int | None) -> None:
    steps = np.array([1.0, 2, 4, 8, 16])[: len(loss)]
    assert fig07.turned(steps, np.array(loss), 2.0) == expected


def test_trained_peaks_stand_beside_the_law_and_noise_may_be_unknown(data: Data, fits: dict[str, Any]) -> None:
    curves, schedules, config, experiments = data
    runs = [*experiments.figures["fig07"].runs, "rewarm_potential_10", "peak_25", "peak_100"]
    without_seeds = {"fig03": fits["fig03"]}
    found = analyse("fig07", curves, schedules, config, listing(experiments, "fig07", runs), without_seeds)
    assert found["noise"] is None
    assert found["runs"]["precritical"]["change_over_noise"] is None
    assert found["runs"]["precritical"]["change"] < 0
    peaks = {item["run"]: item["peak_lr"] for item in found["measured"]}
    assert peaks == pytest.approx({"rewarm_potential_10": 1e-4, "peak_25": 2.5e-4, "peak_100": 1e-3})
    assert set(found["runs"]) == {"precritical", "weak_early", "weak_late", "unknown_long"}
    for item in found["measured"]:
        assert item["predicted"] == pytest.approx(item["loss"], abs=0.03)
    length = found["lengths"][0]
    top = next(item for item in found["measured"] if item["run"] == "peak_100")
    assert length["loss"]["strong"][-1] == pytest.approx(top["predicted"]["strong"], abs=1e-9)


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figure", "kept", "message"),
    [
        ("fig05", ["cpt_potential_100", "cpt_potential_50", "rewarm_potential_0"], "with re-warm-up and has 1"),
        ("fig05", ["cpt_potential_50", "cpt_potential_30", "rewarm_potential_0", "cpt_cosine"], "differ by more than"),
        ("fig06", ["pt_constant", "hidden_constant", "cpt_constant", "replay_33_constant"], "weak and on the strong"),
        ("fig06", ["weak_constant", "cpt_constant", "replay_33_constant"], "no hidden pre-training curve"),
        ("fig07", ["pt_constant", "precritical"], "from scratch"),
        ("fig07", ["pt_constant", "scratch_constant"], "no CPT run"),
    ],
)
def test_missing_runs_are_named(data: Data, fits: dict[str, Any], figure: str, kept: list[str], message: str) -> None:
    curves, schedules, config, experiments = data
    with pytest.raises(UserError, match=message) as raised:
        analyse(figure, curves, schedules, config, listing(experiments, figure, kept), fits)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("figure", ["fig05", "fig07"])
def test_the_law_of_fig03_is_needed(data: Data, figure: str) -> None:
    curves, schedules, config, experiments = data
    with pytest.raises(UserError, match=f"{figure} uses the fits of fig03"):
        analyse(figure, curves, schedules, config, experiments, {})


def test_missing_losses_are_named(data: Data) -> None:
    curves, schedules, config, experiments = data
    lacking = curves[curves["validation"] != config.roles.weak]
    with pytest.raises(UserError, match="no losses on the validation set 'mathematics'"):
        analyse("fig06", lacking, schedules, config, experiments)


# --- drawings and text ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIGURES)
def test_figures_show_their_table_and_nothing_is_cut_off(data: Data, results: Results, name: str) -> None:
    curves, schedules, config, _ = data
    figure, table = plots.draw(name, curves, schedules, results[name], config)
    assert isinstance(figure, Figure)
    assert len(table) > 200
    assert table["y"].notna().all()
    flat = [np.asarray(line.get_ydata(), float) for ax in figure.axes for line in ax.lines]
    kept = table[~table["panel"].str.endswith("lr")]  # drawn in thousandths
    assert np.isin(np.round(kept["y"], 9), np.round(np.concatenate(flat), 9)).all()
    with style.context():
        canvas = cast(Any, FigureCanvasAgg(figure))
        canvas.draw()
        renderer = canvas.get_renderer()
        box = figure.get_tightbbox(renderer)
        titles = [
            text.get_window_extent(renderer)
            for ax in figure.axes
            for text in ax.get_children()
            if isinstance(text, Text) and text.get_text()
        ]
    width, height = figure.get_size_inches()
    assert width == style.WIDTH
    assert (min(box.x0, box.y0) >= 0, box.x1 <= width, box.y1 <= height) == (True, True, True)
    for i, one in enumerate(titles):
        assert not any(one.overlaps(two) for two in titles[i + 1 :])


def test_stars_and_dots_are_the_numbers_of_the_analysis(data: Data, results: Results) -> None:
    curves, schedules, config, _ = data
    _, table = plots.draw("fig05", curves, schedules, results["fig05"], config)
    for letter, panel in zip("cf", results["fig05"]["panels"].values(), strict=True):
        shown = table[table["panel"] == letter]
        assert shown.loc[shown["series"] == "measured", "y"].tolist() == pytest.approx(panel["measured"])
        best = [length["best"]["strong"]["loss"] for length in panel["lengths"]]
        assert shown.loc[shown["series"] == "best", "y"].tolist() == best
    _, table = plots.draw("fig07", curves, schedules, results["fig07"], config)
    turned = table[table["series"] == "turning length"].set_index("run")["x"].to_dict()
    known = {name: run["turning"] for name, run in results["fig07"]["runs"].items() if run["turning"]}
    assert turned == known
    assert len(known) >= 2


def said(folder: Path, results: Results, config: Config) -> dict[str, Claims]:
    """The text of the figures from results that lie in a folder."""
    material = Material(config.model_copy(update={"results": str(folder)}))
    for figure, result in results.items():
        path = material.layout.fit(figure)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, result)
    return {figure: TEXTS[figure].claims(material) for figure in results}


def test_text_states_the_checks_and_they_hold_for_the_law(tmp_path: Path, data: Data, results: Results) -> None:
    _, _, config, _ = data
    for figure, claims in said(tmp_path, results, config).items():
        wrong = [check.label for check in claims.checks if not check.holds]
        assert not wrong, figure
        assert len(claims.checks) >= 6
        assert all(note.endswith(".") for note in claims.notes)
        words = " ".join([claims.shows, claims.paper, *claims.notes, *(check.claim for check in claims.checks)])
        assert not re.search(r"(?<!\\)[%#&]|D_pt|D_cpt|[a-z]_[a-z]", words)


def test_text_says_where_the_paper_is_contradicted(tmp_path: Path, data: Data, results: Results) -> None:
    _, _, config, _ = data
    other = json.loads(json.dumps(results))
    other["fig05"]["panels"]["without"]["trend"] |= {"mean": 0.1, "p": None, "n": 1}
    other["fig06"]["domains"]["weak_over_strong"]["own"] = 1.2
    other["fig06"]["replay"]["sets"]["strong"] |= {"monotone": False, "same_data": None}
    other["fig07"]["runs"]["precritical"]["change_over_noise"] = None
    other["fig07"]["noise"] = None
    wrong = {
        figure: [check.label for check in claims.checks if not check.holds]
        for figure, claims in said(tmp_path, other, config).items()
    }
    assert [len(labels) for labels in wrong.values()] == [2, 3, 1]
