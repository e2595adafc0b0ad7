"""Figures from printed coefficients: their numbers by hand, their verdicts, and what is drawn."""

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from cpt_dynamics import figures
from cpt_dynamics.claims import evaluate
from cpt_dynamics.claims.file import Claims, load
from cpt_dynamics.config import Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import style
from cpt_dynamics.figures.kit.printed import ranges, sources
from cpt_dynamics.figures.kit.result import R, read_result, to_json
from cpt_dynamics.figures.kit.saving import save
from cpt_dynamics.figures.printed_fig04.result import Result as Fig04
from cpt_dynamics.figures.printed_fig05.result import Result as Fig05
from cpt_dynamics.figures.printed_fig07.result import Result as Fig07
from cpt_dynamics.figures.printed_fig08 import analyse as fig08
from cpt_dynamics.figures.printed_fig08.result import Result as Fig08
from cpt_dynamics.figures.printed_fig13 import analyse as fig13
from cpt_dynamics.figures.printed_fig13.result import Result as Fig13
from cpt_dynamics.files import write_json

Array = NDArray[np.float64]
PEAK = 2e-4

# Eq. 4 as printed under Fig. 3, and the weak shift of Fig. 12: L0, A, alpha, B, E, beta, C1, C2.
GENERAL = (3.057, 0.490, 0.497, 0.366, 28, 0.189, 0.299, 0.298)
DOMAIN = (3.024, 0.412, 0.677, -0.666, 5662, 0.146, 0.278, 0.324)
STRONG = (3.064, 0.482, 0.511, 1.353, 37, 0.262, 0.294, 0.264)
STRONG_DOMAIN = (2.978, 0.485, 0.701, -1.409, 383, 0.368, 0.274, 0.298)
WEAK = (3.069, 0.479, 0.519, 0.105, 11, 0.069, 0.295, 0.280)

FIGURES = ("printed_fig04", "printed_fig05", "printed_fig07", "printed_fig08", "printed_fig13")


def wsd(steps: int, end: float) -> Array:
    """WSD at the peak, down to `end` of it over the last 20 %."""
    tail = steps // 5
    return np.concatenate([np.full(steps - tail, PEAK), PEAK * (end + (1 - end) * (1 - np.arange(1, tail + 1) / tail))])


def cosine(steps: int, top: float, rise: int) -> Array:
    """A linear rise from zero and a cosine back to it."""
    falling = steps - rise
    return np.concatenate(
        [top * np.arange(1, rise + 1) / rise, top * (1 + np.cos(np.pi * np.arange(1, falling + 1) / falling)) / 2]
    )


def by_hand(p: tuple[float, ...], before: Array, after: Array) -> tuple[float, float]:
    """Losses of Eq. 4 at the ends of PT and of CPT, the momentum stepped one by one."""
    l0, a, alpha, b, e, beta, c1, c2 = p
    momentum, last, s2 = 0.0, float(before[0]), [0.0, 0.0]
    for phase, rates in enumerate((before, after)):
        for rate in rates.tolist():
            momentum = 0.999 * momentum + (last - rate)
            last = rate
            s2[phase] += momentum
    s1pt, s1cpt = math.fsum(before), math.fsum(after)
    start = l0 + a * s1pt**-alpha - c1 * s2[0]
    shift = b * (1 - (1 + e * s1cpt) ** -beta)
    return start, l0 + a * (s1pt + s1cpt) ** -alpha - c1 * s2[0] - c2 * s2[1] + shift


def data(figure: str) -> FigureData:
    """Nothing else, since these figures read no configuration, run or curve."""
    return FigureData(figure, cast(Any, None), cast(Any, None))


def made(kind: type[R]) -> R:
    """The analysis of a figure, by the type of its result."""
    found = figures.analyse(data(kind.FIGURE))
    assert isinstance(found, kind)
    return found


@dataclass
class Results:
    fig04: Fig04
    fig05: Fig05
    fig07: Fig07
    fig08: Fig08
    fig13: Fig13

    def by_figure(self) -> dict[str, sources.PrintedResult]:
        return {f"printed_{field.name}": getattr(self, field.name) for field in fields(self)}


@pytest.fixture(scope="module")
def results() -> Results:
    """All analyses; the turning lengths of Fig. 13 over a shorter CPT and without its alternatives."""
    figure = sources.load().figures["fig13"]
    panel = figure.panels["a"].model_copy(update={"steps": [12000], "alternatives": []})
    return Results(
        made(Fig04),
        made(Fig05),
        made(Fig07),
        made(Fig08),
        fig13.turning(figure.model_copy(update={"panels": {"a": panel}})),
    )


@pytest.fixture(scope="module", params=FIGURES)
def drawn(request: pytest.FixtureRequest, results: Results) -> tuple[str, Figure, pd.DataFrame]:
    figure, table = figures.draw(data(request.param), results.by_figure()[request.param])
    return request.param, figure, table


# --- numbers ----------------------------------------------------------------------------------------------


def test_results_are_plain_and_say_where_they_come_from(results: Results, tmp_path: Path) -> None:
    for name, result in results.by_figure().items():
        json.dumps(to_json(result), allow_nan=False)
        write_json(tmp_path / "result.json", to_json(result))
        assert read_result(tmp_path / "result.json", type(result)) == result
        assert result.figure == name
        assert result.assumptions
        assert result.coefficients
        assert result.checks
        assert all(check.text for check in result.checks)


@pytest.mark.parametrize(("steps", "potential"), [(20000, 0.5), (50000, 1.0)])
def test_potential_without_rewarmup_is_the_law(results: Results, steps: int, potential: float) -> None:
    panel = results.fig05.panels["c"]
    length = next(item for item in panel.lengths if item.steps == steps)
    at = length.values.index(potential)
    after = potential * PEAK * (1 - np.arange(1, steps + 1) / steps)
    for role, p in ((Role.GENERAL, GENERAL), (Role.STRONG, DOMAIN)):
        assert length.loss[role][at] == pytest.approx(by_hand(p, wsd(40000, potential), after)[1], abs=1e-9)


def test_potential_with_rewarmup_is_the_law(results: Results) -> None:
    length = results.fig05.panels["f"].lengths[0]
    start = cosine(20000, 0.1 * PEAK, 500)
    jumped = 0.1 * PEAK * (1 + np.cos(np.pi * np.arange(1, 20001) / 20000)) / 2  # from above 10 % of the peak
    for potential, after in ((0.0, start), (0.5, jumped)):
        at = length.values.index(potential)
        expected = by_hand(DOMAIN, wsd(40000, potential), after)[1]
        assert length.loss[Role.STRONG][at] == pytest.approx(expected, abs=1e-9)


def test_peak_lr_is_the_law(results: Results) -> None:
    length = results.fig07.lengths[1]
    at = length.values.index(1e-4)
    for role, p in ((Role.GENERAL, GENERAL), (Role.STRONG, DOMAIN)):
        expected = by_hand(p, wsd(40000, 0.0), cosine(40000, 1e-4, 500))[1]
        assert length.loss[role][at] == pytest.approx(expected, abs=1e-9)


def test_best_values_are_the_lowest_losses(results: Results) -> None:
    lengths = [*results.fig05.panels["c"].lengths, *results.fig07.lengths]
    for length in lengths:
        for role, losses in length.loss.items():
            assert length.best[role].loss == min(losses) <= length.worst[role].loss == max(losses)
            assert losses[length.values.index(length.best[role].value)] == min(losses)


def test_ranges(results: Results) -> None:
    potential, peak = results.fig05.panels, results.fig07
    found = {
        (2.52, 2.66): (potential["c"].range, potential["c"].lengths, Role.STRONG),
        (2.59, 2.67): (potential["f"].range, potential["f"].lengths, Role.STRONG),
        (3.30, 3.37): (peak.ranges[Role.GENERAL], peak.lengths, Role.GENERAL),
    }
    for printed, (compared, lengths, role) in found.items():
        losses = np.concatenate([length.loss[role] for length in lengths])
        assert compared.printed == printed
        assert compared.computed == (losses.min(), losses.max())
        share = np.mean(np.linspace(losses.min(), losses.max(), 20001) >= printed[0])
        assert compared.inside == pytest.approx(share, abs=1e-3)  # none of them is above the printed range


def test_claims_judge_every_range_and_every_statement(results: Results) -> None:
    stated = load().claims
    claims = Claims(claims={name: stated[name] for name in FIGURES})
    verdicts = {verdict.name: verdict for verdict in evaluate(claims, results.by_figure())}
    compared = {"printed_fig05": 2, "printed_fig07": 2}
    for name, result in results.by_figure().items():
        assert len(verdicts[name].outcomes) == len(result.checks) + 2 * compared.get(name, 0)
        said = {outcome.says: outcome.holds for outcome in verdicts[name].outcomes}
        assert {check.text: check.holds for check in result.checks}.items() <= said.items()
    panel = results.fig05.panels["c"]
    apart = panel.model_copy(update={"range": ranges.compare((1.0, 2.0), panel.range.computed)})
    other = results.fig05.model_copy(update={"panels": {"c": apart}})
    (verdict,) = (one for one in evaluate(claims, {"printed_fig05": other}) if one.name == "printed_fig05")
    assert [one.name for one in verdict.outcomes if not one.holds] == ["inside.c", "covers.c"]


def test_alternatives_change_what_they_name(results: Results) -> None:
    panel = results.fig05.panels["c"]
    found = {item.name: item.ranges[Role.STRONG].computed for item in panel.alternatives}
    assert len(found) == len(sources.load().figures["fig05"].panels["c"].alternatives) > 3
    after = 0.1 * PEAK * (1 - np.arange(1, 20001) / 20000)
    assert found["PT of 20K steps"][1] == pytest.approx(by_hand(DOMAIN, wsd(20000, 0.1), after)[1], abs=1e-9)
    assert found["PT of 60K steps"][1] < panel.range.computed[1] < found["PT of 20K steps"][1]
    restarted = found["momentum restarts at the transfer"]
    assert restarted[0] == pytest.approx(panel.range.computed[0], abs=1e-12)  # never annealed: the same
    assert restarted[1] > panel.range.computed[1]


def test_critical_point_and_turning_length(results: Results) -> None:
    found = results.fig07.turning
    assert found.critical_point == pytest.approx(3.057 + 0.366)
    early, late = found.runs
    assert early.above_critical
    assert not late.above_critical
    assert late.infinite
    assert late.turning is None

    def rise(steps: int) -> float:
        start, end = by_hand(GENERAL, np.full(5000, PEAK), np.full(steps, PEAK))
        return end - start

    assert early.turning is not None
    assert rise(early.turning) <= 0 < rise(early.turning - 1)
    assert early.loss[0] == early.start


def test_surfaces_and_views_are_the_law(results: Results) -> None:
    result = results.fig04
    surface, l0, a, alpha, b = result.surface, *GENERAL[:4]
    i, j = 3, 10
    expected = l0 + a * surface.s1[j] ** -alpha - 0.299 * surface.s2[i]
    assert surface.hidden[i][j] == pytest.approx(expected, abs=1e-12)
    assert surface.shifted[i][j] - surface.hidden[i][j] == pytest.approx(b, abs=1e-12)
    end = by_hand(GENERAL, wsd(40000, 0.5), 0.5 * PEAK * (1 - np.arange(1, 20001) / 20000))
    run = surface.run.continual
    assert (run.loss[0], run.loss[-1]) == pytest.approx(end, abs=1e-9)
    forward = result.forward.runs[0]
    pair = by_hand(GENERAL, np.full(10000, PEAK), np.full(70000, PEAK))
    assert (forward.loss[0], forward.loss[-1]) == pytest.approx(pair, abs=1e-9)
    assert [run.s2[0] for run in result.annealing.runs] == sorted(
        (run.s2[0] for run in result.annealing.runs), reverse=True
    )


def test_best_potential_lowers_the_goal(results: Results) -> None:
    curve = results.fig08.panels.a.curves["strong"]
    best = curve.values[curve.weights.index(0.5)]
    assert 0.02 < best < 0.2

    def goal(potential: float) -> float:
        after = potential * PEAK * (1 + np.cos(np.pi * np.arange(1, 10001) / 10000)) / 2
        ends = [by_hand(p, wsd(40000, potential), after) for p in (STRONG, STRONG_DOMAIN)]
        return sum(0.5 * (end - start) for start, end in ends)

    assert goal(best) < min(goal(0.6 * best), goal(1.6 * best), goal(1.0))


def test_optima_are_within_what_was_scanned(results: Results) -> None:
    panels = results.fig08.panels
    curves = [(panel.scanned, curve) for panel in (panels.a, panels.b) for curve in panel.curves.values()]
    curves += [(panels.c.scanned, curve) for form in panels.c.curves.values() for curve in form.values()]
    assert len(curves) == 6 + 9
    for (low, high), curve in curves:
        values = np.array(curve.values)
        assert np.all((values >= low) & (values <= high))
        assert np.array_equal(np.array(curve.interior), (values > low) & (values < high))


@pytest.mark.parametrize("role", sources.ROLES)
@pytest.mark.parametrize("saturating", [True, False])
def test_beta_is_matched_to_figure_3(role: Role, saturating: bool) -> None:
    figure = sources.load().figures["fig08"]
    for s1cpt in fig08.REFERENCES:
        beta = fig08.matched_beta(figure, role, s1cpt, saturating)
        p = GENERAL if role == "general" else DOMAIN
        b, e, a2 = (0.276, 99.35, 3.238) if role == "general" else (-0.526, 100.34, 5.696)
        growth = 1 - math.exp(-a2) if saturating or role == "general" else math.exp(a2) - 1
        fig3 = p[3] * (1 - (1 + p[4] * s1cpt) ** -p[5])
        assert b * (1 - (1 + e * s1cpt) ** -beta) * growth == pytest.approx(fig3, rel=1e-9)


def test_shift_shares_by_replay_ratio(results: Results) -> None:
    shares = results.fig08.panels.c.shift_shares
    full = 0.666 * (1 - (1 + 5662 * 4) ** -0.146)
    assert shares.separate[-1] == pytest.approx(0.532 * (1 - (1 + 5693 * 4) ** -0.166) / full)
    assert shares.printed[-1] == pytest.approx((math.exp(5.696 / 3) - 1) / (math.exp(5.696) - 1))
    assert shares.saturating[-1] == pytest.approx((1 - math.exp(-5.696 / 3)) / (1 - math.exp(-5.696)))
    far, near = (np.abs(np.array(form) - shares.separate).max() for form in (shares.printed, shares.saturating))
    assert near < 0.1 < far


def test_replay_forms_lose_the_shift_at_full_replay() -> None:
    figure = sources.load().figures["fig08"]
    unmixed = {"s1pt": np.full(2, 8.0), "s2pt": np.zeros(2), "s1cpt": np.array([0.0, 2.0]), "s2cpt": np.zeros(2)}
    for pair in fig08.replay_forms(figure, 2.0).values():
        for law in (pair.general, pair.domain):
            start, full = law.predict({**unmixed, "replay": np.ones(2)})
            _, none = law.predict({**unmixed, "replay": np.zeros(2)})
            p = law.parameters
            if "L0" in p:
                assert full == pytest.approx(p["L0"] + p["A"] * 10.0 ** -p["alpha"])
            assert full < start
            assert abs(none - full) > 0.1
    separate = fig08.replay_forms(figure, 2.0)["separate"].domain
    third = separate.predict({**unmixed, "replay": np.full(2, 1 / 3)})[1]
    expected = 3.020 + 0.441 * 10**-0.696 - 0.632 * (1 - (1 + 5046 * 2) ** -0.145)
    assert third == pytest.approx(expected, abs=1e-9)


def test_turning_length_of_the_weak_shift(results: Results) -> None:
    curves = results.fig13.curves
    steps = round(curves["weak"].steps[-1] or 0)

    def rise(count: int) -> float:
        after = PEAK * (1 + np.cos(np.pi * np.arange(1, count + 1) / count)) / 2
        start, end = by_hand(WEAK, wsd(40000, 0.0), after)
        return end - start

    assert rise(steps) <= 0 < rise(steps - 1)
    assert curves["weak"].critical_point == pytest.approx(3.069 + 0.105)
    assert curves["weak"].never is None
    for curve in curves.values():
        assert curve.at_once is not None
        assert curve.finite is not None
        assert curve.at_once <= curve.finite
        assert curve.never is None or curve.never > curve.finite
        assert all(steps is None for steps, never in zip(curve.steps, curve.infinite, strict=True) if never)


# --- ranges, and what is refused ------------------------------------------------------------------------


@given(st.floats(2, 4), st.floats(0.01, 1), st.floats(-2, 2), st.floats(0.001, 2))
def test_shares_of_ranges(low: float, width: float, offset: float, size: float) -> None:
    computed = (low + offset, low + offset + size)
    found = ranges.compare((low, low + width), computed)
    assert 0 <= found.inside <= 1 + 1e-9
    assert 0 <= found.covers <= 1 + 1e-9
    apart = computed[1] <= low or computed[0] >= low + width
    assert (found.covers == 0) == apart
    same = ranges.compare(computed, computed)
    assert (same.inside, same.covers) == (1, 1)


def test_missing_coefficient_is_named() -> None:
    source = sources.Source(figure="fig19")
    with pytest.raises(UserError, match="beta of fig19 for 'strong' is not printed"):
        sources.coefficients(source, Role.STRONG, {}, "cpt_replay_domain")
    with pytest.raises(UserError, match="no equation of fig99"):
        sources.coefficients(sources.Source(figure="fig99"), Role.GENERAL, {})


def test_mistakes_in_the_file_are_named(tmp_path: Path) -> None:
    raw = yaml.safe_load(sources.PANELS.read_text())
    raw["figures"]["fig05"]["panels"]["c"]["lengths"] = [1]
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(UserError, match=r"panels.yaml: unknown key 'figures.fig05.panels.c.lengths'"):
        sources.load(path)
    panel = sources.load().figures["fig05"].panels["c"]
    with pytest.raises(UserError, match=r"unknown key 'pretraining\.ending'"):
        panel.setting(sources.Change(scenario={"pretraining": {"ending": 0.1}}))


# --- drawings ---------------------------------------------------------------------------------------------


def test_everything_is_on_the_page_and_large_enough(drawn: tuple[str, Figure, pd.DataFrame]) -> None:
    _, figure, table = drawn
    with style.context():
        canvas = cast(Any, FigureCanvasAgg(figure))
        canvas.draw()
        renderer = canvas.get_renderer()
        box = figure.get_tightbbox(renderer)
        legends = [*figure.legends, *(legend for part in figure.subfigs for legend in part.legends)]
        boxes = [legend.get_window_extent(renderer) for legend in legends]
        titles = [
            title.get_window_extent(renderer)
            for ax in figure.axes
            for title in ax.get_children()
            if isinstance(title, Text) and title.get_text()
        ]
    width, height = figure.get_size_inches()
    assert width == style.WIDTH
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= width
    assert box.y1 <= height
    assert boxes
    for legend in boxes:
        assert 0 <= legend.x0 < legend.x1 <= figure.bbox.x1
    for i, one in enumerate(titles):
        assert not any(one.overlaps(two) for two in titles[i + 1 :])
    said = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text().strip()]
    assert min(float(text.get_fontsize()) for text in said) >= style.SMALL
    assert table["y"].notna().all()


def test_files_are_the_same_bytes_each_time(results: Results, tmp_path: Path) -> None:
    written = []
    for folder in ("first", "second"):  # the surfaces: the only figure in three dimensions
        figure, table = figures.draw(data("printed_fig04"), results.fig04)
        written.append([path.read_bytes() for path in save(figure, table, tmp_path / folder, "surface")])
    assert written[0] == written[1]


def test_tables_hold_the_starred_optima(results: Results) -> None:
    _, table = figures.draw(data("printed_fig05"), results.fig05)
    for key, panel in results.fig05.panels.items():
        stars = table[(table["panel"] == key) & (table["series"] == "best")]
        assert stars["x"].tolist() == [100 * length.best[Role.STRONG].value for length in panel.lengths]
        assert stars["y"].tolist() == [min(length.loss[Role.STRONG]) for length in panel.lengths]
    _, table = figures.draw(data("printed_fig07"), results.fig07)
    stars = table[(table["panel"] == "b") & (table["series"] == "best")]
    assert stars["y"].tolist() == [min(length.loss[Role.STRONG]) for length in results.fig07.lengths]
    back = table[table["series"] == "turning length"]
    assert (1e3 * back["x"]).tolist() == [results.fig07.turning.runs[0].turning]
    assert set(table.loc[table["series"] == "critical point", "y"]) == {results.fig07.turning.critical_point}


def test_tables_hold_what_is_drawn(drawn: tuple[str, Figure, pd.DataFrame]) -> None:
    _, figure, table = drawn
    flat = [np.asarray(line.get_ydata(), float) for ax in figure.axes if ax.name != "3d" for line in ax.lines]
    kept = table[table["panel"] != "surface"]
    assert np.isin(np.round(kept["y"], 9), np.round(np.concatenate(flat), 9)).all()


def test_replay_panels_have_the_same_distribution_line(results: Results) -> None:
    _, table = figures.draw(data("printed_fig08"), results.fig08)
    lines = table[table["series"] == "same distribution"]
    assert lines.groupby("panel").size().to_dict() == dict.fromkeys(["c printed", "c saturating", "c separate"], 2)
    assert (lines["y"] == 100 * lines["x"]).all()


@pytest.mark.slow
def test_turning_lengths_in_full() -> None:
    result = fig13.analyse(data("printed_fig13"))
    assert [item.name for item in result.alternatives] == [
        item.name for item in sources.load().figures["fig13"].panels["a"].alternatives
    ]
    curve = result.curves["moderate"]
    assert (curve.at_once or 0) < (curve.finite or 0) < (curve.never or 0)
