"""Figures 5 and 7 from the kit's own runs: numbers against the law that made the curves, drawings and text."""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from worlds.runs import TRUE, loss, made

from cpt_dynamics import figures
from cpt_dynamics.claims import evaluate
from cpt_dynamics.claims.file import Claims, load
from cpt_dynamics.config import Config, Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig03.result import FitsOfSet, SkilledFit
from cpt_dynamics.figures.fig03.result import Result as Fig03
from cpt_dynamics.figures.fig05.analyse import starts
from cpt_dynamics.figures.fig05.result import Best
from cpt_dynamics.figures.fig05.result import Result as Fig05
from cpt_dynamics.figures.fig07.analyse import turned
from cpt_dynamics.figures.fig07.result import Result as Fig07
from cpt_dynamics.figures.kit import selection, style
from cpt_dynamics.figures.kit.joint import PAPER_LAMBDA, SETS, joint
from cpt_dynamics.figures.kit.result import FigureResult, read_result, to_json
from cpt_dynamics.figures.kit.scenarios import scenario_of
from cpt_dynamics.figures.seeds.result import Result as Seeds
from cpt_dynamics.files import write_json
from cpt_dynamics.fitting import varpro

FIGURES = ("fig05", "fig07")
NOISE = 0.003
Tables = tuple[pd.DataFrame, pd.DataFrame, Config, Experiments]
Known = dict[str, FigureResult]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Curves, schedules, configuration and experiments; no result lies in its folder."""
    curves, schedules, config, experiments = made(NOISE)
    results = str(tmp_path_factory.mktemp("results"))
    return curves, schedules, config.model_copy(update={"results": results}), experiments


@pytest.fixture(scope="module", autouse=True)
def few_starts() -> Iterator[None]:
    """Fits from two starts, which are enough for curves that follow the law."""
    search = varpro.search
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(varpro, "search", lambda problem, number, *rest: search(problem, min(number, 2), *rest))
        yield


@pytest.fixture(scope="module")
def known(tables: Tables) -> Known:
    """The fits of Fig. 3, and a seed noise."""
    curves, schedules, config, experiments = tables
    runs = experiments.figures["fig03"].runs
    fits = {}
    for role in SETS:
        fit = SkilledFit(**dict(joint(curves, schedules, config, runs, role).result()), skill=None)
        fits[role] = FitsOfSet(
            chosen=fit, paper_lambda=fit, other_carry_over=fit, free_sign_B=1.0, better_carry_over=True
        )
    fig03 = Fig03(
        figure="fig03",
        title="",
        runs=runs,
        validations=selection.roles(config),
        lambda_=config.law.lambda_,
        paper_lambda=PAPER_LAMBDA,
        carry_over=config.law.carry_over,
        first_step=config.law.first_step,
        rows_used="",
        fits=fits,
    )
    noise: dict[str, Any] = {"noise": {Role.GENERAL: NOISE, Role.STRONG: NOISE}}  # nothing else is read
    seeds = Seeds.model_construct(**noise)
    return {"fig03": fig03, "seeds": seeds}


def data(
    figure: str,
    tables: Tables,
    known: Known,
    runs: list[str] | None = None,
    curves: pd.DataFrame | None = None,
) -> FigureData:
    """What a figure is made from, with other runs or other curves."""
    experiments = tables[3]
    if runs is not None:
        entry = experiments.figures[figure].model_copy(update={"runs": runs})
        experiments = dataclasses.replace(experiments, figures={**experiments.figures, figure: entry})
    return FigureData(figure, tables[2], experiments, known, (tables[0] if curves is None else curves, tables[1]))


def analysed05(*inputs: Any, **more: Any) -> Fig05:
    found = figures.analyse(data("fig05", *inputs, **more))
    assert isinstance(found, Fig05)
    return found


def analysed07(*inputs: Any, **more: Any) -> Fig07:
    found = figures.analyse(data("fig07", *inputs, **more))
    assert isinstance(found, Fig07)
    return found


@pytest.fixture(scope="module")
def fig05(tables: Tables, known: Known) -> Fig05:
    return analysed05(tables, known)


@pytest.fixture(scope="module")
def fig07(tables: Tables, known: Known) -> Fig07:
    return analysed07(tables, known)


@pytest.fixture(scope="module")
def results(fig05: Fig05, fig07: Fig07) -> Known:
    return {"fig05": fig05, "fig07": fig07}


def claims_of_figures() -> Claims:
    """The claims that numbers of these figures alone decide."""
    stated = load().claims
    return Claims(claims={n: c for n, c in stated.items() if {k.figure for k in c.criteria.values()} <= set(FIGURES)})


def test_results_are_read_as_they_were_written(results: Known, tmp_path: Path) -> None:
    for figure, result in results.items():
        json.dumps(to_json(result), allow_nan=False)
        write_json(tmp_path / "result.json", to_json(result))
        assert to_json(read_result(tmp_path / "result.json", type(result))) == to_json(result)
        assert result.figure == figure


def test_claims_hold_for_the_law(results: Known) -> None:
    verdicts = evaluate(claims_of_figures(), results)
    assert {one.name for one in verdicts} >= {"potential", "potential_rewarmed", "turning_back", "fig05", "fig07"}
    for verdict in verdicts:
        assert [one.name for one in verdict.outcomes if not one.holds] == []


def test_claims_say_where_the_paper_is_contradicted(results: Known) -> None:
    other = {figure: json.loads(json.dumps(to_json(result))) for figure, result in results.items()}
    other["fig05"]["panels"]["without"]["trend"] |= {"mean": 0.1, "p": None, "n": 1}
    other["fig07"]["runs"]["precritical"]["change_over_noise"] = None
    read = {"fig05": Fig05.model_validate(other["fig05"]), "fig07": Fig07.model_validate(other["fig07"])}
    wrong = {
        verdict.name: [one.name for one in verdict.outcomes if not one.holds]
        for verdict in evaluate(claims_of_figures(), read)
        if verdict.word != "supported"
    }
    assert wrong == {"potential": ["slope", "p"], "turning_back": ["too_little"]}


# --- Fig. 5 -----------------------------------------------------------------------------------------------


def test_runs_are_told_apart_by_their_start(tables: Tables) -> None:
    _, _, _, experiments = tables
    found = {s.run.name: s for s in starts(selection.transfers(experiments, experiments.figures["fig05"].runs))}
    assert len(found) == 24
    for name, start in found.items():
        potential = int(re.sub(r".*_(\d+)(\.seed\d)?$", r"\1", name)) / 100
        assert start.potential == pytest.approx(potential)
        assert start.panel == ("with" if name.startswith("rewarm") else "without")


def test_final_losses_and_predictions_are_those_of_the_law(tables: Tables, fig05: Fig05) -> None:
    _, _, config, experiments = tables
    for panel in fig05.panels.values():
        for item in panel.runs:
            true = loss(experiments.runs[item.run], "strong", config)[-1]
            assert item.loss == pytest.approx(true, abs=5 * NOISE)
            assert item.predicted == pytest.approx(true, abs=0.02)
            assert item.error == pytest.approx(item.predicted - item.loss)
        # the curve of the trained length goes through the predictions at the trained potentials
        length = panel.lengths[1]
        assert length.steps == panel.steps == config.lengths.continual
        drawn = np.interp(panel.potentials, length.values, length.loss[Role.STRONG])
        assert drawn == pytest.approx(panel.predicted, abs=1e-9)
        assert [part.steps for part in panel.lengths] == [1000, 1500, 2000, 2500]


def test_trend_is_tested_over_seeds(fig05: Fig05) -> None:
    for panel in fig05.panels.values():
        table = pd.DataFrame([dict(run) for run in panel.runs])
        slopes = [np.polyfit(part["potential"], part["loss"], 1)[0] for _, part in table.groupby("seed")]
        assert panel.trend.n == 3
        assert panel.trend.mean == pytest.approx(np.mean(slopes))
        assert panel.trend.p is not None
        assert panel.trend.p < 0.05
        assert panel.order == 1.0
        assert panel.best == Best(measured=1.0, predicted=1.0, agree=True, seeds_agreeing=1.0)


def test_one_seed_has_no_test_and_a_wrong_order_counts(tables: Tables, known: Known) -> None:
    curves, _, config, experiments = tables
    single = [run for run in experiments.figures["fig05"].runs if ".seed" not in run]
    raised = curves["run"].eq("cpt_potential_100") & curves["validation"].eq(config.roles.strong)
    worse = curves.assign(loss=curves["loss"] + 5.0 * raised)
    found = analysed05(tables, known, runs=single, curves=worse).panels
    assert (found["with"].trend.p, found["with"].trend.n) == (None, 1)
    assert found["with"].order == 1.0
    assert found["without"].order == pytest.approx(2 / 3)
    assert (found["without"].trend.mean or 0) > 0
    assert found["without"].best.measured == 0.5
    assert found["without"].best.agree is False


def test_scenarios_are_read_from_the_runs(tables: Tables) -> None:
    _, _, config, experiments = tables
    for name in ("cpt_potential_30", "rewarm_potential_0", "cpt_wsd_half", "unknown_long", "precritical", "peak_25"):
        run = experiments.runs[name]
        made_of = scenario_of(run, config)
        assert made_of is not None
        assert np.allclose(made_of.lr, run.lr, rtol=0, atol=1e-9)
    run = experiments.runs["peak_25"]
    short = dataclasses.replace(run.phases[-1], steps=run.phases[-1].steps // 2)  # left within its decay
    for phases in ((run.phases[0], short), (*run.phases, run.phases[-1])):
        assert scenario_of(dataclasses.replace(run, phases=phases), config) is None


# --- Fig. 7 -----------------------------------------------------------------------------------------------


def test_critical_point_is_the_loss_of_training_from_scratch(fig07: Fig07) -> None:
    critical = fig07.critical
    assert critical.runs == ["scratch_constant", "scratch_wsd"]
    # with C1 and C2 of the law that made the curves in one, the fit need not be exact
    assert critical.point == pytest.approx(TRUE["general"]["L0"] + 1.6, abs=0.03)
    assert critical.range[0] <= critical.point <= critical.range[1]
    assert critical.by_law == pytest.approx(TRUE["general"]["L0"] + TRUE["general"]["B"], abs=0.1)
    assert critical.reached == pytest.approx(1 - (1 + 20.0 * 1.5) ** -0.35, abs=0.05)
    assert (critical.fit.r2 or 0) > 0.99


def test_changes_and_turning_lengths_are_those_of_the_law(tables: Tables, fig07: Fig07) -> None:
    _, _, config, experiments = tables
    found = fig07.runs
    assert list(found) == ["precritical", "weak_early", "weak_late", "unknown_long"]
    for name, run in found.items():
        true = loss(experiments.runs[name], "general", config)
        start, after = true[run.transfer - 1], true[run.transfer :]
        assert run.start == pytest.approx(start, abs=5 * NOISE)
        assert run.change_over_noise == pytest.approx((after[-1] - start) / NOISE, abs=8)
        assert run.turned_back == (after[-1] <= start)
        if run.turned_back:
            last = int(np.flatnonzero(after > start)[-1]) + 2
            assert run.turning == pytest.approx(last, abs=3 * config.evaluation.every)
            if run.law is not None:
                assert run.law.turning == pytest.approx(last, abs=0.3 * last)
    assert (found["precritical"].above_critical, found["unknown_long"].above_critical) == (True, False)
    assert found["weak_late"].above_critical is None
    late, early = found["unknown_long"].law, found["precritical"].law
    assert late is not None
    assert early is not None
    assert late.never is True
    assert 0 < (early.turning_length or 0) < 1500


@pytest.mark.parametrize(
    ("loss", "expected"),
    [([1, 3, 2.5, 1.9, 1.5], 8), ([3, 1.9, 2.1, 3], None), ([1, 2, 2, 1], 0), ([3, 1, 3, 2, 1], 8)],
)
def test_turning_is_the_step_from_which_the_loss_stays_below(loss: list[float], expected: int | None) -> None:
    steps = np.array([1.0, 2, 4, 8, 16])[: len(loss)]
    assert turned(steps, np.array(loss), 2.0) == expected


def test_trained_peaks_stand_beside_the_law_and_noise_may_be_unknown(tables: Tables, known: Known) -> None:
    runs = [*tables[3].figures["fig07"].runs, "rewarm_potential_10", "peak_25", "peak_100"]
    found = analysed07(tables, {"fig03": known["fig03"]}, runs=runs)
    assert found.noise is None
    assert found.runs["precritical"].change_over_noise is None
    assert found.runs["precritical"].change < 0
    peaks = {item.run: item.peak_lr for item in found.measured}
    assert peaks == pytest.approx({"rewarm_potential_10": 1e-4, "peak_25": 2.5e-4, "peak_100": 1e-3})
    assert set(found.runs) == {"precritical", "weak_early", "weak_late", "unknown_long"}
    for item in found.measured:
        assert item.predicted == pytest.approx(item.loss, abs=0.03)
    length = found.lengths[0]
    top = next(item for item in found.measured if item.run == "peak_100")
    assert length.loss[Role.STRONG][-1] == pytest.approx(top.predicted[Role.STRONG], abs=1e-9)


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figure", "kept", "message"),
    [
        ("fig05", ["cpt_potential_100", "cpt_potential_50", "rewarm_potential_0"], "with re-warm-up and has 1"),
        ("fig05", ["cpt_potential_50", "cpt_potential_30", "rewarm_potential_0", "cpt_cosine"], "differ by more than"),
        ("fig07", ["pt_constant", "precritical"], "from scratch"),
        ("fig07", ["pt_constant", "scratch_constant"], "no CPT run"),
    ],
)
def test_missing_runs_are_named(tables: Tables, known: Known, figure: str, kept: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        figures.analyse(data(figure, tables, known, runs=kept))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("figure", FIGURES)
def test_the_law_of_fig03_is_needed(tables: Tables, figure: str) -> None:
    with pytest.raises(UserError, match=r"fig03\.json does not exist: make it first"):
        figures.analyse(data(figure, tables, {}))


# --- drawings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIGURES)
def test_figures_show_their_table_and_nothing_is_cut_off(tables: Tables, results: Known, name: str) -> None:
    figure, table = figures.draw(data(name, tables, {}), results[name])
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


def test_stars_and_dots_are_the_numbers_of_the_analysis(tables: Tables, fig05: Fig05, fig07: Fig07) -> None:
    _, table = figures.draw(data("fig05", tables, {}), fig05)
    for letter, panel in zip("cf", fig05.panels.values(), strict=True):
        shown = table[table["panel"] == letter]
        assert shown.loc[shown["series"] == "measured", "y"].tolist() == pytest.approx(panel.measured)
        best = [length.best[Role.STRONG].loss for length in panel.lengths]
        assert shown.loc[shown["series"] == "best", "y"].tolist() == best
    _, table = figures.draw(data("fig07", tables, {}), fig07)
    turned = table[table["series"] == "turning length"].set_index("run")["x"].to_dict()
    known = {name: run.turning for name, run in fig07.runs.items() if run.turning}
    assert turned == known
    assert len(known) >= 2


# --- words ------------------------------------------------------------------------------------------------


def test_words_name_the_numbers(tables: Tables, fig05: Fig05, fig07: Fig07) -> None:
    said = {name: figures.text(data(name, tables, {}), found) for name, found in (("fig05", fig05), ("fig07", fig07))}
    for text in said.values():
        words = " ".join([text.shows, text.paper, *text.notes])
        assert not re.search(r"(?<!\\)[%#&]|D_pt|D_cpt|[a-z]_[a-z]", words)
        assert all(note.endswith(".") for note in text.notes)
    for panel, note in zip(fig05.panels.values(), said["fig05"].notes, strict=True):
        assert f"{abs(panel.errors.bias):.3f} nats" in note
    point, *runs, noise = said["fig07"].notes
    assert f"{fig07.critical.point:.3f} nats" in point
    assert f"{NOISE:.4f} nats" in noise
    for run, note in zip(fig07.runs.values(), runs, strict=True):
        assert f"ends at {run.final:.3f}" in note
    unknown = figures.text(data("fig07", tables, {}), fig07.model_copy(update={"noise": None}))
    assert unknown.notes[-1].endswith("has no value here.")
