"""The figure and chapter of the public curves of continual pre-training, on made-up losses under the real schedules."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from worlds import REPOSITORY
from worlds.figures import is_on_the_page
from worlds.public import delphi_facts, page

from cpt_dynamics import curves, laws
from cpt_dynamics.curves.public import Curves, delphi
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.delphi.analyse import complete, measured
from cpt_dynamics.figures.delphi.draw import drawn
from cpt_dynamics.figures.delphi.result import ABOVE, EQ4, INSIDE, NOISE, OVER_MIXES, S1_ALONE, Result
from cpt_dynamics.figures.delphi.text import text
from cpt_dynamics.figures.kit.result import read_result, to_json
from cpt_dynamics.files import write_json
from cpt_dynamics.leaderboard.scores import BETWEEN
from cpt_dynamics.leaderboard.sets import continual_alone
from cpt_dynamics.report import public

pytestmark = pytest.mark.slow  # fits of twenty seconds

POINT = {"L0": 2.1, "K": 7.0, "c": 4.5, "B": -2.5, "E": 36.0, "beta": 0.08, "nu": 0.6, "mu": 0.1}
STEPS = [*range(400, 7200, 800), 7399]  # as the page counts them
RUNS = [f"3e18/{mix}/lr{lr}" for mix in ("p33m67", "p50m50") for lr in (0.33, 0.5, 0.67, 0.83)]
FURTHER = ["3e18/p67m33/lr0.5", "3e18/p67m33/lr0.83"]  # the second one does not come to its end


def identity(run: str) -> str:
    base, mix, lr = run.split("/")
    return f"delphi-{base}-{mix}-k0p20-{lr}-a001"


def losses() -> dict[str, dict[int, str]]:
    """Losses of the noise law over mixes, by id and step."""
    known = delphi.published()
    base = known.bases["3e18"]
    found = {}
    for run in [*RUNS, *FURTHER]:
        rates = delphi.continual_lr(base, float(run.split("lr")[1]))
        steps = STEPS[:-1] if run == FURTHER[1] else STEPS
        plan = pd.DataFrame({"run": run, "step": np.arange(1, len(rates) + 1), "phase": "continual", "lr": rates})
        rows = plan.iloc[steps].assign(phase="continual")
        table = curves.features(rows, plan, 0.99).assign(replay=known.mixes[run.split("/")[1]])
        predicted = laws.get(OVER_MIXES[0]).predict(POINT, table)
        found[identity(run)] = {0: "2.5", **{s: f"{v:.9f}" for s, v in zip(steps, predicted, strict=True)}}
    return found


@dataclass(frozen=True)
class Made:
    found: Curves
    result: Result


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("delphi")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY)
        (folder / delphi.PAGE).write_text(page(losses()))
        found = delphi.read(folder, delphi_facts(folder / "facts.yaml", runs={}))
        return Made(found, measured(found.curves, found.schedules))


def test_the_splits_of_the_benchmark_are_fitted_and_measured(made: Made) -> None:
    inside, above = made.result.board(INSIDE), made.result.board(ABOVE)
    assert (inside[NOISE].runs, above[NOISE].runs) == (4, 2)
    assert {one.run for one in made.result.scores} == {run for run in RUNS if "lr0.33" not in run}
    assert max(inside[NOISE].worst, above[NOISE].worst) < 2e-5  # the law that the losses are made of
    assert min(inside[EQ4].mean, inside[S1_ALONE].mean, inside[BETWEEN].mean) > 10 * inside[NOISE].mean
    assert made.result.params == {"3e18": 447_000_000}
    measured_ = continual_alone(made.found.curves).set_index(["run", "step"])["loss"]
    for run, curve in made.result.curves.items():
        assert curve.predicted[NOISE] == pytest.approx([measured_[run, step] for step in curve.steps], rel=2e-5)


def test_one_law_for_several_mixes_predicts_a_further_one(made: Made) -> None:
    found = {one.law: one for one in made.result.mixes}
    assert list(found) == list(OVER_MIXES)
    noise = found[OVER_MIXES[0]]
    assert noise.parameters["nu"] == pytest.approx(POINT["nu"], rel=0.02)
    assert set(noise.missed) == {run for run in RUNS if run.endswith(("lr0.5", "lr0.67"))} | {FURTHER[0]}
    assert max(one.worst for one in noise.missed.values()) < 1e-4
    assert found[OVER_MIXES[2]].missed[FURTHER[0]].mean > 1e-3
    assert "A mix that was not fitted is predicted to 0.00" in text_of(made.result)


def test_runs_that_do_not_come_to_their_end_are_told(made: Made) -> None:
    assert set(complete(made.found.curves, made.found.schedules)) == {*RUNS, FURTHER[0]}


def text_of(result: Result) -> str:
    return " ".join(text(None, result).notes)  # type: ignore[arg-type]  # reads no data


def test_the_result_is_what_its_file_holds_and_says(made: Made, tmp_path: Path) -> None:
    write_json(tmp_path / "delphi.json", to_json(made.result))
    again = read_result(tmp_path / "delphi.json", Result)
    assert again == made.result
    said = text_of(again)
    assert r"1.06\,\% for 1e21 and 10.70\,\% for 1e22" in said  # of data/published/delphi.yaml
    assert "Across bases" not in said  # one base
    rows = public.unseen_lrs(again)
    assert [row[0].text for row in rows] == ["447M (3e18)", "all", "worst row"]
    assert rows[0][2].text == f"{100 * again.board(INSIDE)[EQ4].mean:.2f}"
    assert rows[1][8].text == f"{100 * again.board(ABOVE)[EQ4].bias:.2f}"


def test_the_figure_is_on_the_page_and_in_its_table(made: Made) -> None:
    figure, table = drawn(made.found.curves, made.result)
    is_on_the_page(figure)
    assert table["y"].notna().all()
    ends = table[table["panel"] == "end error (%)"].set_index(["series", "run"])["y"]
    assert ends[EQ4, "3e18/p33m67/lr0.83"] == 100 * made.result.of(ABOVE, EQ4)[0].end
    change = table[(table["panel"] == "3e18 change of the loss") & (table["run"] == "3e18/p33m67/lr0.5")]
    by_series = {name: part["y"].to_numpy() for name, part in change.groupby("series")}
    assert by_series[NOISE] == pytest.approx(by_series["measured"], abs=5e-5)


def test_curves_without_a_whole_split_are_refused(made: Made) -> None:
    few = made.found.curves[made.found.curves["run"].isin(FURTHER)]
    with pytest.raises(UserError, match="no split of the benchmark has all its runs"):
        measured(few, made.found.schedules)
