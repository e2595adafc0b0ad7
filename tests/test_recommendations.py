"""Recommendations of fitted laws that are trained, against laws that are known."""

import argparse
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from worlds.curves import curves_of
from worlds.figures import drawn, outcomes
from worlds.figures import figure_data as data_of
from worlds.runs import PARAMS, loss
from worlds.tiny import EXPERIMENTS

from cpt_dynamics import config as configuration
from cpt_dynamics import curves as tables
from cpt_dynamics import experiments, figures, fitting
from cpt_dynamics.cli.trial_runs import run_trial_runs
from cpt_dynamics.config import Config, Role
from cpt_dynamics.curves import trials
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Experiments, Run
from cpt_dynamics.figures.kit import joint
from cpt_dynamics.figures.kit.recommendations import recommend
from cpt_dynamics.figures.recommendations.analyse import analyse
from cpt_dynamics.figures.recommendations.result import Result
from cpt_dynamics.figures.seeds.result import Result as Seeds
from cpt_dynamics.files import read_json, write_json
from cpt_dynamics.layout import Layout
from cpt_dynamics.planning import recommendations
from cpt_dynamics.training import branch

EVERY = 250  # steps between losses
NOISE = {Role.GENERAL: 0.003, Role.STRONG: 0.004}
Found = tuple[pd.DataFrame, pd.DataFrame, Config, Experiments, dict[str, Any]]


def measured(runs: Iterable[Run], config: Config) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Curves and schedules of runs by the known laws of `worlds.runs`."""
    return curves_of(
        runs,
        steps,
        lambda run: {config.corpus_of(role): loss(run, role, config) for role in ("general", "strong")},
        {"small": PARAMS["small"]},
        1280.0,
    )


def steps(run: Run) -> list[int]:
    """Every `EVERY` steps, the ends of phases and the first steps of CPT."""
    before = run.transfer_step
    near = [before + 2**k for k in range(7)] if before < run.steps else []
    return [*range(EVERY, run.steps + 1, EVERY), before, run.steps, *near]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Curves and schedules of the figure, configuration, experiments and the recommendations; results lie apart.

    What is recommended is given no loss of the held-out runs but of one that is in both lists.
    """
    results = tmp_path_factory.mktemp("results")
    config = configuration.load([]).model_copy(update={"results": str(results)})
    known = experiments.load(config)
    entry = known.figures[trials.FIGURE]
    curves, schedules = measured([known.runs[name] for name in known.runs_of(trials.FIGURE)], config)
    seen = curves[curves["run"].isin(entry.runs)]
    with pytest.MonkeyPatch.context() as patch:  # fewer starts, since nothing here is noise
        patch.setattr(joint, "fit", partial(fitting.fit, n_starts=3, n_screen=96))
        plan = recommend(seen, schedules, config, known)
    return curves, schedules, config, known, plan


@pytest.fixture(scope="module")
def analysed(found: Found) -> Result:
    """The analysis, with the recommended runs made by the known laws."""
    _, _, config, known, plan = found
    write_json(trials.plan_path(config), plan)
    for knob in trials.KNOBS:
        wanted = trials.planned(config, knob)
        everything = known.extended(wanted, config)
        table, steps = measured([everything.runs[name] for name in wanted], config)
        tables.write_schedules(trials.schedules_path(config, knob), steps)
        tables.write(trials.curves_path(config, knob), table)
    seeds: dict[str, Any] = {"figure": "seeds", "noise": NOISE}
    return analyse(data_of("recommendations", found[:4], [Seeds.model_construct(**seeds)]))


def test_the_grids_are_found_and_no_fit_reads_its_own(found: Found) -> None:
    _, _, _, known, plan = found
    knobs = plan["knobs"]
    assert list(knobs["peak_lr"]["grid"].values()) == [0.1, 0.25, 0.5, 1.0]
    assert list(knobs["potential"]["grid"].values()) == [0.1, 0.3, 0.5, 1.0]
    assert list(knobs["replay"]["grid"].values()) == [0.0, 0.33, 0.5, 0.67, 1.0]
    for part in knobs.values():
        assert not set(part["grid"]) & set(part["fitted"])
        assert set(part["fitted"]) | set(part["left_out"]) == set(known.figures[trials.FIGURE].runs)
    assert not any(run.startswith("replay") for run in knobs["peak_lr"]["fitted"])
    assert {"cpt_cosine", "cpt_cosine_half"} <= set(knobs["replay"]["left_out"])
    assert {"pt_cosine", "replay_50_wsd", "cpt_wsd"} <= set(knobs["replay"]["fitted"])
    assert {"cpt_cosine", "cpt_cosine_half"} <= set(knobs["peak_lr"]["fitted"])


def test_a_grid_that_is_not_there_is_said(found: Found) -> None:
    _, _, config, known, _ = found
    with pytest.raises(UserError, match="fewer than two values of potential"):
        recommendations.grid_of("potential", ["peak_25", "cpt_potential_50"], config, known)


def test_recommendations_are_the_optima_of_the_known_law(found: Found) -> None:
    """At a hundredth of the range, none is better by more than the misfit of the law (Eq. 8 is not the known one)."""
    _, _, config, known, plan = found
    for knob, part in plan["knobs"].items():
        values = [round(float(v), 3) for v in np.linspace(part["scanned"][0], part["scanned"][1], 19)]
        chosen = [one["value"] for one in part["recommendations"]]
        entries = {recommendations.run_name(knob, v): recommendations.run_entry(knob, v) for v in [*values, *chosen]}
        made = known.extended(entries, config).runs
        ends = {name: {role: loss(made[name], role, config)[-1] for role in ("general", "strong")} for name in entries}
        for one in part["recommendations"]:
            goals = {
                name: one["weight"] * end["general"] + (1 - one["weight"]) * end["strong"] for name, end in ends.items()
            }
            assert goals[one["run"]] <= min(goals.values()) + 0.005
            if knob != "replay":
                assert one["predicted"]["goal"] == pytest.approx(goals[one["run"]], abs=1e-3)


def test_regret_is_the_distance_to_the_best_of_the_grid(analysed: Result, found: Found) -> None:
    curves, _, config, _, _ = found
    regrets = []
    for knob, part in analysed.knobs.items():
        table = trials.read(config, knob)
        for one in part.recommendations:
            goals = [_goal(curves, point.run, one.weight, config) for point in part.grid]
            expected = _goal(table, one.run, one.weight, config) - min(goals)
            assert one.regret == pytest.approx(expected, abs=1e-12)
            scale = np.hypot(one.weight * NOISE[Role.GENERAL], (1 - one.weight) * NOISE[Role.STRONG])
            assert one.regret_over_noise == pytest.approx(expected / scale)
            if one.in_grid:
                assert one.regret >= 0
            regrets.append(expected)
    assert len(regrets) == analysed.regret.n == 9
    assert analysed.regret.mean == pytest.approx(np.mean(regrets))
    assert analysed.regret.worst == pytest.approx(max(regrets))
    assert analysed.regret.worst < 0.01  # the laws are nearly the known ones


def test_without_seeds_there_is_no_noise(analysed: Result, found: Found) -> None:
    plain = analyse(data_of("recommendations", found[:4]))
    assert plain.regret.worst_over_noise is None
    assert plain.regret.worst == analysed.regret.worst


def test_missing_files_are_said(found: Found, tmp_path: Path) -> None:
    curves, schedules, config, known, plan = found
    elsewhere = config.model_copy(update={"results": str(tmp_path)})
    with pytest.raises(UserError, match=r"plan\.json does not exist: write it with"):
        trials.planned(elsewhere, "replay")
    write_json(trials.plan_path(elsewhere), plan)
    with pytest.raises(UserError, match="cpt-dynamics trial-runs --knob peak_lr"):
        analyse(data_of("recommendations", (curves, schedules, elsewhere, known)))
    write_json(trials.plan_path(elsewhere), {"knobs": {}})
    with pytest.raises(UserError, match=r"plan\.json: .*cpt-dynamics trial-plan"):
        analyse(data_of("recommendations", (curves, schedules, elsewhere, known)))
    with pytest.raises(UserError, match="recommends no runs for replay"):
        trials.planned(elsewhere, "replay")


def test_a_recommended_value_of_the_grid_trains_nothing(found: Found) -> None:
    _, _, config, known, plan = found
    before = experiments.plan(known.runs.values(), config)
    for knob, part in plan["knobs"].items():
        some = [*part["grid"].values(), 0.42]
        entries = {recommendations.run_name(knob, v): recommendations.run_entry(knob, v) for v in some}
        made = known.extended(entries, config)
        assert list(made.runs)[: len(known.runs)] == list(known.runs)
        after = experiments.plan(made.runs.values(), config)
        assert set(before.branches) <= set(after.branches)
        new = [after.branches[name] for name in after.branches if name not in before.branches]
        assert [one.run.name for one in new] == [recommendations.run_name(knob, 0.42)]
        start = config.lengths.pretraining * (0.8 if knob == "potential" else 1)
        assert new[0].first == start
        assert new[0].parent in before.branches


def test_recommended_runs_are_trained_from_the_checkpoints_there_are(tiny: Config) -> None:
    known = experiments.load(tiny)
    first = experiments.plan(known.runs.values(), tiny)
    branch.train(first.branches.values(), first, tiny)
    old = {path: path.stat().st_mtime_ns for path in (Layout(tiny).root / "branches").iterdir()}
    same = {"after": "trunk", "at": 14, "phases": EXPERIMENTS["runs"]["fork"]["phases"]}
    other = {**same, "phases": [{**same["phases"][0], "data": {"general": 0.5, "strong": 0.5}}]}
    write_json(trials.plan_path(tiny), {"knobs": {"replay": {"runs": {"same_0": same, "other_500": other}}}})
    run_trial_runs(argparse.Namespace(configfile=[], knob="replay"))
    table = trials.read(tiny, "replay")
    assert sorted(table["run"].unique()) == ["other_500", "same_0"]
    assert {path: path.stat().st_mtime_ns for path in old} == old
    new = [path for path in (Layout(tiny).root / "branches").glob("*.json") if path not in old]
    (manifest,) = [read_json(path) for path in new]
    assert (manifest["run"], manifest["steps"], manifest["started_from_step"]) == ("other_500", [15, 26], 14)
    fork = table[(table["run"] == "same_0") & (table["step"] == 26)]
    assert len(fork) == len(tiny.validations())


# --- drawings and texts -----------------------------------------------------------------------------------


def test_the_figure_is_drawn_checked_and_said(analysed: Result, found: Found, tmp_path: Path) -> None:
    figure, table = drawn(analysed, found[:4])
    figure.savefig(tmp_path / "figure.png")
    assert len(table) > 20
    assert np.isfinite(table["x"]).all()
    assert min(float(text.get_fontsize()) for text in figure.findobj(Text) if text.get_text()) >= 5
    stars = table[table["series"] == "recommended, trained"]
    assert len(stars) == analysed.regret.n
    assert (stars["y"] - stars["best_of_grid"]).max() == pytest.approx(analysed.regret.worst)
    checks = {check.path: check.value for check in outcomes(analysed)}
    assert checks == {
        "recommendations.regret.mean": analysed.regret.mean,
        "recommendations.regret.worst": analysed.regret.worst,
    }
    text = figures.text(data_of("recommendations", found[:4]), analysed)
    assert text.paper
    assert all(
        f"{100 * one.value:.3g}" in str(text.notes) for k in analysed.knobs.values() for one in k.recommendations
    )


def _goal(table: pd.DataFrame, run: str, weight: float, config: Config) -> float:
    rows = table[(table["run"] == run) & (table["step"] == table.loc[table["run"] == run, "step"].max())]
    losses = rows.set_index("validation")["loss"]
    return float(weight * losses[config.roles.general] + (1 - weight) * losses[config.roles.strong])
