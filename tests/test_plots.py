"""The figures: what they show, that nothing is cut off, and that files are reproducible."""

from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from worlds.figures import Tables, analysed, drawn, figure_data, is_on_the_page, rendered
from worlds.small import EXPERIMENTS, synthetic, synthetic_config

from cpt_dynamics import figures
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.fig01.result import Result as Fig01
from cpt_dynamics.figures.fig02.result import Result as Fig02
from cpt_dynamics.figures.fig03.result import Result as Fig03
from cpt_dynamics.figures.fig10.result import Result as Fig10
from cpt_dynamics.figures.kit import equations, style
from cpt_dynamics.figures.kit.result import FigureResult
from cpt_dynamics.figures.kit.saving import save
from cpt_dynamics.figures.lambda_ import analyse as scan
from cpt_dynamics.figures.lambda_.result import Result as Lambda

KINDS: list[type[FigureResult]] = [Fig01, Fig02, Fig03, Fig10, Lambda]
Drawn = tuple[FigureResult, Figure, pd.DataFrame]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Noisy curves and their schedules."""
    config = synthetic_config(tmp_path_factory.mktemp("scale"), EXPERIMENTS)
    curves, schedules, experiments = synthetic(config, noise=0.01)
    return curves, schedules, config, experiments


@pytest.fixture(scope="module")
def results(tables: Tables) -> dict[str, FigureResult]:
    """The analyses of all figures."""
    found: dict[str, FigureResult] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "MEMORIES", (200,))
        for kind in KINDS:
            found[kind.FIGURE] = analysed(kind, tables, found.values())
    return found


@pytest.fixture(params=[kind.FIGURE for kind in KINDS])
def shown(request: pytest.FixtureRequest, tables: Tables, results: dict[str, FigureResult]) -> Drawn:
    result = results[request.param]
    return result, *drawn(result, tables)


def test_everything_is_on_the_page_and_large_enough(shown: Drawn) -> None:
    is_on_the_page(shown[1])


def test_texts_do_not_cover_each_other_or_data(shown: Drawn) -> None:
    _, figure, _ = shown
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


def test_files_are_the_same_bytes_each_time(shown: Drawn, tables: Tables, tmp_path: Path) -> None:
    result, figure, table = shown
    name, before = result.figure, dict(matplotlib.rcParams)
    first = save(figure, table, tmp_path / "first", name)
    second = save(*drawn(result, tables), tmp_path / "second", name)
    assert [path.name for path in first] == [f"{name}.pdf", f"{name}.png", f"{name}.csv"]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert b"CreationDate" not in first[0].read_bytes()
    assert sorted(p.name for p in (tmp_path / "first").iterdir()) == sorted(p.name for p in first)
    assert dict(matplotlib.rcParams) == before


def test_table_holds_what_is_drawn(shown: Drawn) -> None:
    result, figure, table = shown
    value = "percent" if result.figure == "lambda" else "y"
    assert table[value].notna().all()
    lines = [np.asarray(line.get_ydata(), float) for ax in figure.axes for line in ax.lines]
    kept = table[table["panel"] != "lr"]  # drawn in thousandths
    assert np.isin(np.round(kept[value], 9), np.round(np.concatenate(lines), 9)).all()


def test_measured_losses_are_drawn_unchanged(tables: Tables, results: dict[str, FigureResult]) -> None:
    curves = tables[0]
    _, table = drawn(results["fig10"], tables)
    part = table[(table["panel"] == "strong") & (table["run"] == "cpt_linear") & (table["series"] == "CPT, measured")]
    rows = curves[(curves["run"] == "cpt_linear") & (curves["validation"] == "code") & (curves["phase"] == "continual")]
    assert dict(zip(part["x"], part["y"], strict=True)) == dict(zip(rows["step"], rows["loss"], strict=True))


def test_printed_errors_are_those_of_the_analysis(tables: Tables, results: dict[str, FigureResult]) -> None:
    result = results["fig10"]
    assert isinstance(result, Fig10)
    said = " ".join(ax.get_title(loc="right") for ax in drawn(result, tables)[0].axes)
    for part in result.predictions.values():
        assert list(part.runs) == ["cpt_linear", "cpt_rewarm_cosine"]
        for run in part.runs.values():
            assert run.law.mean_relative_error is not None
            assert f"{100 * run.law.mean_relative_error:.2f} %" in said


def test_seeds_of_a_run_share_a_column(tables: Tables, results: dict[str, FigureResult]) -> None:
    curves, schedules, config, experiments = tables
    extra, plan = "cpt_wsd.seed2", schedules[schedules["run"] == "cpt_wsd"]
    twin = curves[curves["run"] == "cpt_wsd"].assign(run=extra, seed=2, loss=lambda t: t["loss"] + 0.01)
    both, plans = pd.concat([curves, twin]), pd.concat([schedules, plan.assign(run=extra)])
    fig03 = results["fig03"]
    assert isinstance(fig03, Fig03)
    again = replace(experiments.runs["cpt_wsd"], name=extra, seed=2, repeat=2)
    experiments = replace(experiments, runs={**experiments.runs, extra: again})
    one, _ = drawn(fig03, tables)
    two, table = drawn(fig03.model_copy(update={"runs": [*fig03.runs, extra]}), (both, plans, config, experiments))
    assert len(two.axes) == len(one.axes)
    assert extra in set(table["run"])


def test_words_of_figures_hold_no_undefined_number(tables: Tables, results: dict[str, FigureResult]) -> None:
    for figure, result in results.items():
        words = figures.text(figure_data(figure, tables), result)
        assert words.shows
        assert "None" not in " ".join([words.shows, words.paper, *words.notes])


def test_equations_are_printed_with_their_signs() -> None:
    p = {"L0": 3.0, "A": 0.5, "alpha": 0.5, "B": -0.7, "E": 5662.0, "beta": 0.146, "C1": 0.3, "C2": 0.29}
    text = equations.cpt(p)
    assert "- 0.700" in text
    assert "5662" in text
    assert "+ 0.700" in equations.cpt({**p, "B": 0.7})
    assert r"- 0.070\,\ln(1+5662" in equations.cpt({**p, "B": -700.0, "beta": 1e-4})
    assert equations.number(28.0) == "28"
    assert equations.number(1.2e-5) == r"1.2\!\times\!10^{-5}"


def test_an_unknown_figure_is_refused(tables: Tables, results: dict[str, FigureResult]) -> None:
    with pytest.raises(UserError, match="no figure 'fig99'"):
        figures.draw(figure_data("fig99", tables), results["fig03"])
