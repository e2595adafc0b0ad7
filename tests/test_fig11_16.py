"""Figures 11, 12, 15 and 16 on curves made from a known law: analysis, drawing, words and checks."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from worlds.runs import PARAMS, TRUE, WEAK, made

from cpt_dynamics import claims, figures
from cpt_dynamics.claims.verdicts import Outcome, of_figure
from cpt_dynamics.config import Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig11.result import Result as Fig11
from cpt_dynamics.figures.fig12.result import Result as Fig12
from cpt_dynamics.figures.fig15.analyse import at_size
from cpt_dynamics.figures.fig15.result import Result as Fig15
from cpt_dynamics.figures.fig16.result import Result as Fig16
from cpt_dynamics.figures.kit import equations, published, statistics, style
from cpt_dynamics.figures.kit.result import FigureResult, to_json
from cpt_dynamics.laws import get

FIGURES = ("fig11", "fig12", "fig15", "fig16")
END = 1.5  # forward area of CPT after 1,500 steps at a constant LR of 0.001


@pytest.fixture(scope="module")
def data() -> FigureData:
    """A quarter of the measurements of the runs of these figures."""
    curves, schedules, config, experiments = made()
    runs = [run for figure in FIGURES for run in experiments.runs_of(figure)]
    few = curves[curves["run"].isin(runs) & curves["validation"].isin(config.validations()[:3])]
    steps = sorted(few["step"].unique(), reverse=True)[::4]
    tables = few[few["step"].isin(steps)], schedules[schedules["run"].isin(runs)]
    return FigureData("fig11", config, experiments, tables=tables)


@pytest.fixture(scope="module")
def results(data: FigureData) -> dict[str, FigureResult]:
    return {figure: figures.analyse(replace(data, figure=figure)) for figure in FIGURES}


@pytest.fixture(scope="module")
def fig11(results: dict[str, FigureResult]) -> Fig11:
    return cast(Fig11, results["fig11"])


@pytest.fixture(scope="module")
def fig12(results: dict[str, FigureResult]) -> Fig12:
    return cast(Fig12, results["fig12"])


@pytest.fixture(scope="module")
def fig15(results: dict[str, FigureResult]) -> Fig15:
    return cast(Fig15, results["fig15"])


@pytest.fixture(scope="module")
def fig16(results: dict[str, FigureResult]) -> Fig16:
    return cast(Fig16, results["fig16"])


def shift(role: str, part: float = 1.0, s1cpt: float = END) -> float:
    """The shift term of the known law, nats."""
    return part * float(get("shift_power").predict(TRUE[role], {"s1cpt": [s1cpt]})[0])


def without(experiments: Experiments, figure: str, *runs: str) -> Experiments:
    """Experiments with some runs taken out of a figure."""
    entry = experiments.figures[figure]
    fewer = entry.model_copy(update={"runs": [run for run in entry.runs if run not in runs]})
    return replace(experiments, figures={**experiments.figures, figure: fewer})


def test_the_law_holds_on_the_weak_domain(fig11: Fig11) -> None:
    assert set(fig11.fits) == {"general", "weak"}
    for role, part in ((Role.GENERAL, WEAK), (Role.WEAK, 1.0)):
        found = fig11.fits[role]
        assert found.r2 is not None
        assert found.r2 > 0.9999
        assert found.end.shift == pytest.approx(shift(role, part), rel=0.02)
    assert fig11.validations[Role.WEAK] == fig11.fits[Role.WEAK].validation == "mathematics"


def test_each_replay_ratio_has_its_own_shift(fig12: Fig12) -> None:
    assert list(fig12.fits) == ["33", "50", "67"]
    assert fig12.groups["50"] == ["replay_50_constant", "replay_50_wsd", "replay_50_cosine"]
    for role, trend in fig12.trend.items():
        for key, by_role in fig12.fits.items():
            expected = shift(role, 1 - int(key) / 100, fig12.end)
            assert by_role[role].shift == pytest.approx(expected, rel=0.02)
        assert fig12.least_r2[role] == min(by_role[role].r2 or 0.0 for by_role in fig12.fits.values())
        assert fig12.least_r2[role] == pytest.approx(1, abs=1e-4)
        # the known shift is proportional to what is not replayed
        assert trend.slope == pytest.approx(-abs(shift(role, 1.0, fig12.end)), rel=0.03)
        assert fig12.shift_falls[role]


@pytest.mark.parametrize(("sizes", "falls"), [([0.3, 0.2, 0.1], True), ([0.3, 0.1, 0.2], False), ([0.3], False)])
def test_a_shift_falls_from_each_ratio_to_the_next(sizes: list[float], falls: bool) -> None:
    assert statistics.falls(sizes) == falls


def test_one_law_fits_all_sizes(fig15: Fig15) -> None:
    for role, found in fig15.fits.items():
        assert found.r2 == pytest.approx(1, abs=1e-4)
        for model, one in found.at_size.items():
            level = 4.0 * (PARAMS[model] ** -0.19 - PARAMS["small"] ** -0.19)
            assert one.parameters["L0"] == pytest.approx(TRUE[role]["L0"] + level, abs=0.02)
            assert one.parameters["C2"] == pytest.approx(TRUE[role]["C2"], rel=0.1)
            assert one.errors.mean_relative_error == pytest.approx(0, abs=1e-3)
            assert fig15.left_out[role][model].levelled < 2e-3
    assert fig15.models["large"] == ["cpt_constant.large", "cpt_wsd.large"]
    assert fig15.params == PARAMS


def test_eq_7_at_a_size_is_eq_4() -> None:
    p = {name: value for name, value in published.find("fig15", "general").parameters.items() if value is not None}
    areas = {"s1pt": [2.0, 2.0], "s1cpt": [0.0, 1.0], "s2pt": [0.3, 0.3], "s2cpt": [0.0, 0.2]}
    seven = get("cpt_size").predict(p, {**areas, "params": [106e6, 106e6]})
    assert get("cpt").predict(at_size(p, 106e6), areas) == pytest.approx(seven)
    assert at_size(p, 106e6)["L0"] == pytest.approx(3.066, abs=0.001)  # what the paper's own L0 at 106M amounts to


def test_larger_sizes_are_fitted_apart(fig16: Fig16) -> None:
    assert list(fig16.fits) == ["medium", "large"]
    assert fig16.models["medium"] == ["cpt_constant.medium", "cpt_wsd.medium"]
    medium, large = ({fit.role: fit for fit in fits.values()} for fits in fig16.fits.values())
    expected = 4.0 * (PARAMS["medium"] ** -0.19 - PARAMS["large"] ** -0.19)
    difference = medium["general"].parameters["L0"] - large["general"].parameters["L0"]
    assert difference == pytest.approx(expected, abs=0.01)
    assert [one.r2 for one in (*medium.values(), *large.values())] == pytest.approx([1] * 4, abs=1e-4)


@pytest.mark.parametrize(
    ("figure", "runs", "message"),
    [
        ("fig11", ["weak_constant", "weak_cosine", "weak_cosine_half"], "fig11 has no run with a continual phase"),
        ("fig16", ["cpt_constant.medium", "cpt_wsd.medium", "cpt_constant.large", "cpt_wsd.large"], "fig16 has no run"),
    ],
)
def test_missing_runs_are_named(data: FigureData, figure: str, runs: list[str], message: str) -> None:
    fewer = replace(data, figure=figure, experiments=without(data.experiments, figure, *runs))
    with pytest.raises(UserError, match=message) as caught:
        figures.analyse(fewer)
    assert "\n" not in str(caught.value)


def test_untrained_runs_are_named(data: FigureData) -> None:
    trained = data.curves[data.curves["run"] != "replay_50_wsd"], data.schedules
    with pytest.raises(UserError, match="no rows of the run 'replay_50_wsd'"):
        figures.analyse(replace(data, figure="fig12", tables=trained))


@pytest.mark.parametrize("figure", FIGURES)
def test_figures_show_all_runs_within_the_page(figure: str, data: FigureData, results: dict[str, FigureResult]) -> None:
    drawn, table = figures.draw(replace(data, figure=figure), results[figure])
    runs = data.experiments.runs
    shown = {run for run in data.experiments.runs_of(figure) if runs[run].phases[-1].phase == "continual"}
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


def outcomes(result: FigureResult) -> list[Outcome]:
    """Every criterion of config/claims.yaml that is a number of a figure."""
    return of_figure(claims.evaluate(claims.load(), {result.figure: result}), result.figure)


@pytest.mark.parametrize(("figure", "count"), [("fig11", 2), ("fig12", 4), ("fig15", 2), ("fig16", 4)])
def test_the_words_and_the_checks_of_a_figure(
    figure: str, count: int, data: FigureData, results: dict[str, FigureResult]
) -> None:
    found = figures.text(replace(data, figure=figure), results[figure])
    assert found.shows
    assert found.paper
    assert "None" not in " ".join([found.shows, found.paper, *found.notes])
    checks = outcomes(results[figure])
    assert len(checks) == count
    assert all(one.holds for one in checks), [one.name for one in checks if not one.holds]


def test_the_shift_terms_of_the_paper_are_told(data: FigureData, results: dict[str, FigureResult]) -> None:
    said = {figure: figures.text(replace(data, figure=figure), results[figure]).paper for figure in ("fig11", "fig16")}
    for figure, text in said.items():
        printed = [item.parameters for item in published.load() if item.figure == figure]
        assert printed
        assert all(f"{p['B']:g}\\," in text for p in printed)


@pytest.mark.parametrize("figure", ["fig11", "fig16"])
def test_what_is_not_defined_does_not_hold(figure: str, data: FigureData, results: dict[str, FigureResult]) -> None:
    empty = figures.result_type(figure).model_validate(undefined(to_json(results[figure])))
    checks = outcomes(empty)
    assert checks
    assert not any(one.holds for one in checks)
    one = replace(data, figure=figure)
    figures.draw(one, empty)
    assert "None" not in " ".join(figures.text(one, empty).notes)


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
