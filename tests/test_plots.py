"""The figures: what they show, that nothing is cut off, and that files are reproducible."""

from pathlib import Path
from typing import Any, cast

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from test_analysis import EXPERIMENTS, synthetic, synthetic_config

from cpt_dynamics import plots
from cpt_dynamics.analysis import analyse, sensitivity
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.kit import equations, style

FIGURES = ["fig01", "fig02", "fig03", "fig10", "lambda"]
Data = tuple[pd.DataFrame, pd.DataFrame, dict[str, dict[str, Any]], Config]
Drawn = tuple[str, Figure, pd.DataFrame]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Noisy curves, their schedules and the analyses of all figures."""
    config = synthetic_config(tmp_path_factory.mktemp("scale"), EXPERIMENTS)
    curves, schedules, experiments = synthetic(config, noise=0.01)
    results: dict[str, dict[str, Any]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sensitivity, "MEMORIES", (200,))
        for figure in FIGURES:
            results[figure] = analyse(figure, curves, schedules, config, experiments, results)
    return curves, schedules, results, config


@pytest.fixture(params=FIGURES)
def drawn(request: pytest.FixtureRequest, data: Data) -> Drawn:
    curves, schedules, results, config = data
    figure, table = plots.draw(request.param, curves, schedules, results[request.param], config)
    return request.param, figure, table


def rendered(figure: Figure) -> Any:
    """The renderer of a figure that has been laid out."""
    canvas = cast(Any, FigureCanvasAgg(figure))  # its methods have no types
    canvas.draw()
    return canvas.get_renderer()


def test_everything_is_on_the_page_and_large_enough(drawn: Drawn) -> None:
    _, figure, _ = drawn
    with style.context():
        box = figure.get_tightbbox(rendered(figure))  # inches
    width, height = figure.get_size_inches()
    assert width == style.WIDTH
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= width
    assert box.y1 <= height
    said = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text().strip()]
    assert len(said) > 10
    assert min(float(text.get_fontsize()) for text in said) >= 7


def test_texts_do_not_cover_each_other_or_data(drawn: Drawn) -> None:
    _, figure, _ = drawn
    with style.context():
        renderer = rendered(figure)
        free = [text for ax in figure.axes for text in ax.get_children() if isinstance(text, Text)]
        boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in free if text.get_text()]
        for i, (one, box) in enumerate(boxes):
            for two, second in boxes[i + 1 :]:
                apart = box.x1 < second.x0 or second.x1 < box.x0 or box.y1 < second.y0 or second.y1 < box.y0
                assert apart, (one, two)
            for ax in figure.axes:
                assert not (ax.axison and box.shrunk(0.98, 0.98).overlaps(ax.bbox)), one


def test_files_are_the_same_bytes_each_time(drawn: Drawn, data: Data, tmp_path: Path) -> None:
    name, figure, table = drawn
    curves, schedules, results, config = data
    before = dict(matplotlib.rcParams)
    first = plots.save(figure, table, tmp_path / "first")
    again, same = plots.draw(name, curves, schedules, results[name], config)
    second = plots.save(again, same, tmp_path / "second")
    assert [path.name for path in first] == [f"{name}.pdf", f"{name}.png", f"{name}.csv"]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert b"CreationDate" not in first[0].read_bytes()
    assert sorted(p.name for p in (tmp_path / "first").iterdir()) == sorted(p.name for p in first)
    assert dict(matplotlib.rcParams) == before


def test_table_holds_what_is_drawn(drawn: Drawn) -> None:
    name, figure, table = drawn
    value = "percent" if name == "lambda" else "y"
    assert table[value].notna().all()
    lines = [np.asarray(line.get_ydata(), float) for ax in figure.axes for line in ax.lines]
    kept = table[table["panel"] != "lr"]  # drawn in thousandths
    assert np.isin(np.round(kept[value], 9), np.round(np.concatenate(lines), 9)).all()


def test_measured_losses_are_drawn_unchanged(data: Data) -> None:
    curves, schedules, results, config = data
    _, table = plots.draw("fig10", curves, schedules, results["fig10"], config)
    shown = table[(table["panel"] == "strong") & (table["run"] == "cpt_linear") & (table["series"] == "CPT, measured")]
    rows = curves[(curves["run"] == "cpt_linear") & (curves["validation"] == "code") & (curves["phase"] == "continual")]
    assert dict(zip(shown["x"], shown["y"], strict=True)) == dict(zip(rows["step"], rows["loss"], strict=True))


def test_printed_errors_are_those_of_the_analysis(data: Data) -> None:
    curves, schedules, results, config = data
    figure, _ = plots.draw("fig10", curves, schedules, results["fig10"], config)
    said = " ".join(ax.get_title(loc="right") for ax in figure.axes)
    for role in ("general", "strong"):
        for run in ("cpt_linear", "cpt_rewarm_cosine"):
            error = results["fig10"]["predictions"][role]["runs"][run]["law"]["mean_relative_error"]
            assert f"{100 * error:.2f} %" in said


def test_seeds_of_a_run_share_a_column(data: Data) -> None:
    curves, schedules, results, config = data
    extra, plan = "cpt_wsd.seed2", schedules[schedules["run"] == "cpt_wsd"]
    twin = curves[curves["run"] == "cpt_wsd"].assign(run=extra, seed=2, loss=lambda t: t["loss"] + 0.01)
    both, plans = pd.concat([curves, twin]), pd.concat([schedules, plan.assign(run=extra)])
    analysis = {**results["fig03"], "runs": [*results["fig03"]["runs"], extra]}
    one, _ = plots.draw("fig03", curves, schedules, results["fig03"], config)
    two, table = plots.draw("fig03", both, plans, analysis, config)
    assert len(two.axes) == len(one.axes)
    assert extra in set(table["run"])


def test_equations_are_printed_with_their_signs() -> None:
    p = {"L0": 3.0, "A": 0.5, "alpha": 0.5, "B": -0.7, "E": 5662.0, "beta": 0.146, "C1": 0.3, "C2": 0.29}
    text = equations.cpt(p)
    assert "- 0.700" in text
    assert "5662" in text
    assert "+ 0.700" in equations.cpt({**p, "B": 0.7})
    assert r"- 0.070\,\ln(1+5662" in equations.cpt({**p, "B": -700.0, "beta": 1e-4})
    assert equations.number(28.0) == "28"
    assert equations.number(1.2e-5) == r"1.2\!\times\!10^{-5}"


def test_the_wrong_analysis_is_refused(data: Data) -> None:
    curves, schedules, results, config = data
    with pytest.raises(UserError, match="not of 'fig10'"):
        plots.draw("fig10", curves, schedules, results["fig03"], config)
    with pytest.raises(UserError, match="no plot of figure 'fig99'"):
        plots.draw("fig99", curves, schedules, results["fig03"], config)
