"""Figures 11, 12, 15 and 16 on curves made from a known law: analysis, drawing and text of the report."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from cpt_dynamics.analysis.fig15 import at_size
from cpt_dynamics.reporting.figures import fig11, fig12, fig15, fig16
from cpt_dynamics.reporting.material import Material
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from paper_runs import PARAMS, TRUE, WEAK, made

from cpt_dynamics import plots
from cpt_dynamics.analysis import analyse
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import equations, published, style
from cpt_dynamics.laws import get

Data = tuple[pd.DataFrame, pd.DataFrame, Config, Experiments]
TEXTS: dict[str, Any] = {
    "fig11": fig11.claims,
    "fig12": fig12.claims,
    "fig15": fig15.claims,
    "fig16": fig16.claims,
}
END = 1.5  # forward area of CPT after 1,500 steps at a constant LR of 0.001


@pytest.fixture(scope="module")
def data() -> Data:
    """A quarter of the measurements of the runs of these figures."""
    curves, schedules, config, experiments = made()
    runs = [run for figure in TEXTS for run in experiments.runs_of(figure)]
    few = curves[curves["run"].isin(runs) & curves["validation"].isin(config.validations()[:3])]
    steps = sorted(few["step"].unique(), reverse=True)[::4]
    return few[few["step"].isin(steps)], schedules[schedules["run"].isin(runs)], config, experiments


@pytest.fixture(scope="module")
def results(data: Data) -> dict[str, Any]:
    return {figure: analyse(figure, *data) for figure in TEXTS}


def shift(role: str, part: float = 1.0, s1cpt: float = END) -> float:
    """The shift term of the known law, nats."""
    return part * float(get("shift_power").predict(TRUE[role], {"s1cpt": [s1cpt]})[0])


def without(experiments: Experiments, figure: str, *runs: str) -> Experiments:
    """Experiments with some runs taken out of a figure."""
    entry = experiments.figures[figure]
    fewer = entry.model_copy(update={"runs": [run for run in entry.runs if run not in runs]})
    return replace(experiments, figures={**experiments.figures, figure: fewer})


def test_the_law_holds_on_the_weak_domain(results: dict[str, Any]) -> None:
    fits = results["fig11"]["fits"]
    assert set(fits) == {"general", "weak"}
    for role, part in (("general", WEAK), ("weak", 1.0)):
        assert fits[role]["r2"] > 0.9999
        assert fits[role]["end"]["shift"] == pytest.approx(shift(role, part), rel=0.02)
    assert results["fig11"]["validations"]["weak"] == fits["weak"]["validation"] == "mathematics"


def test_each_replay_ratio_has_its_own_shift(results: dict[str, Any]) -> None:
    found = results["fig12"]
    assert list(found["fits"]) == ["33", "50", "67"]
    assert found["groups"]["50"] == ["replay_50_constant", "replay_50_wsd", "replay_50_cosine"]
    for role in ("general", "strong"):
        for key, by_role in found["fits"].items():
            assert by_role[role]["r2"] > 0.9999
            expected = shift(role, 1 - int(key) / 100, found["end"])
            assert by_role[role]["shift"] == pytest.approx(expected, rel=0.02)
        # the known shift is proportional to what is not replayed
        assert found["trend"][role]["slope"] == pytest.approx(-abs(shift(role, 1.0, found["end"])), rel=0.03)


def test_one_law_fits_all_sizes(results: dict[str, Any]) -> None:
    for role, found in results["fig15"]["fits"].items():
        assert found["r2"] > 0.9999
        for model, one in found["at_size"].items():
            level = 4.0 * (PARAMS[model] ** -0.19 - PARAMS["small"] ** -0.19)
            assert one["parameters"]["L0"] == pytest.approx(TRUE[role]["L0"] + level, abs=0.02)
            assert one["parameters"]["C2"] == pytest.approx(TRUE[role]["C2"], rel=0.1)
            assert one["errors"]["mean_relative_error"] < 1e-3
            left_out = results["fig15"]["left_out"][role][model]
            assert left_out["levelled"] < 2e-3
    assert results["fig15"]["models"]["large"] == ["cpt_constant.large", "cpt_wsd.large"]


def test_eq_7_at_a_size_is_eq_4() -> None:
    p = {name: value for name, value in published.find("fig15", "general").parameters.items() if value is not None}
    areas = {"s1pt": [2.0, 2.0], "s1cpt": [0.0, 1.0], "s2pt": [0.3, 0.3], "s2cpt": [0.0, 0.2]}
    seven = get("cpt_size").predict(p, {**areas, "params": [106e6, 106e6]})
    assert get("cpt").predict(at_size(p, 106e6), areas) == pytest.approx(seven)
    assert at_size(p, 106e6)["L0"] == pytest.approx(3.066, abs=0.001)  # what the paper's own L0 at 106M amounts to


def test_larger_sizes_are_fitted_apart(results: dict[str, Any]) -> None:
    found = results["fig16"]
    assert list(found["fits"]) == ["medium", "large"]
    levels = [found["fits"][model]["general"]["parameters"]["L0"] for model in ("medium", "large")]
    expected = 4.0 * (PARAMS["medium"] ** -0.19 - PARAMS["large"] ** -0.19)
    assert levels[0] - levels[1] == pytest.approx(expected, abs=0.01)
    assert all(one["r2"] > 0.9999 for by_role in found["fits"].values() for one in by_role.values())


@pytest.mark.parametrize(
    ("figure", "runs", "message"),
    [
        ("fig11", ["weak_constant", "weak_cosine", "weak_cosine_half"], "fig11 has no run with a continual phase"),
        ("fig16", ["cpt_constant.medium", "cpt_wsd.medium", "cpt_constant.large", "cpt_wsd.large"], "fig16 has no run"),
    ],
)
def test_missing_runs_are_named(data: Data, figure: str, runs: list[str], message: str) -> None:
    curves, schedules, config, experiments = data
    with pytest.raises(UserError, match=message) as caught:
        analyse(figure, curves, schedules, config, without(experiments, figure, *runs))
    assert "\n" not in str(caught.value)


def test_untrained_runs_are_named(data: Data) -> None:
    curves, schedules, config, experiments = data
    with pytest.raises(UserError, match="no rows of the run 'replay_50_wsd'"):
        analyse("fig12", curves[curves["run"] != "replay_50_wsd"], schedules, config, experiments)


@pytest.mark.parametrize("figure", TEXTS)
def test_figures_show_all_runs_within_the_page(figure: str, data: Data, results: dict[str, Any]) -> None:
    curves, schedules, config, experiments = data
    drawn, table = plots.draw(figure, curves, schedules, results[figure], config)
    shown = {run for run in experiments.runs_of(figure) if experiments.runs[run].phases[-1].phase == "continual"}
    assert shown <= set(table["run"])
    assert np.isfinite(table["y"]).all()
    assert {"general", "strong", "weak"} & {panel.split("_")[0] for panel in table["panel"]}
    with style.context():
        canvas = cast(Any, FigureCanvasAgg(drawn))  # its methods have no types
        canvas.draw()
        said = [text for text in drawn.findobj(Text) if isinstance(text, Text) and text.get_text().strip()]
        box = drawn.get_tightbbox(canvas.get_renderer())
    width, height = drawn.get_size_inches()
    assert width == style.WIDTH
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= width
    assert box.y1 <= height
    assert min(float(text.get_fontsize()) for text in said) >= style.SMALL


@pytest.mark.parametrize("figure", TEXTS)
def test_the_text_of_a_figure(figure: str, data: Data, results: dict[str, Any]) -> None:
    material = Material(data[2])
    material._results[figure] = results[figure]
    found = TEXTS[figure](material)
    assert found.shows
    assert found.paper
    assert found.verdict == "agrees", [check.label for check in found.checks if not check.holds]
    assert "None" not in " ".join([found.shows, found.paper, *found.notes])


@pytest.mark.parametrize("figure", ["fig11", "fig16"])
def test_what_is_not_defined_does_not_hold(figure: str, data: Data, results: dict[str, Any]) -> None:
    curves, schedules, config, _ = data
    empty = undefined(results[figure])
    material = Material(config)
    material._results[figure] = empty
    found = TEXTS[figure](material)
    assert not all(check.holds for check in found.checks)
    plots.draw(figure, curves, schedules, empty, config)


def undefined(value: Any) -> Any:
    """A result whose values of R2 are not defined, as on losses that are all equal."""
    if isinstance(value, dict):
        return {key: None if key in ("r2", "r2_continual") else undefined(item) for key, item in value.items()}
    return value


def test_a_shift_of_tiny_exponent_is_printed_as_a_logarithm() -> None:
    assert equations.power_shift({"B": 300.0, "E": 998.0, "beta": 1e-4}, "t") == r"$0.030\,\ln(1+998\,t)$"
    assert equations.power_shift({"B": 0.3, "E": 998.0, "beta": 0.1}, "t") == r"$0.300\,[1-(1+998\,t)^{-0.100}]$"


def test_eq_7_is_printed_with_its_signs() -> None:
    one, two = equations.cpt_size(published.find("fig15", "strong").parameters)
    assert "- 0.333" in one
    assert "N^{0.012}" in one
    assert "- 0.552" in two
    assert "N^{-0.189}" in two
