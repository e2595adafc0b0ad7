"""The commands recommend and schedule, on fits to curves made from published coefficients."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds.curves import losses

from cpt_dynamics import files
from cpt_dynamics.cli import main
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.kit import published
from cpt_dynamics.fitting import Fit, fit, intervals, leave_one_curve_out
from cpt_dynamics.fitting.uncertainty import band
from cpt_dynamics.laws import get
from cpt_dynamics.logs.expressions import parse
from cpt_dynamics.planning import (
    Pair,
    Scenario,
    critical_mixture_ratio,
    critical_point,
    grid,
    optimise,
    scan,
    turning_length,
)
from cpt_dynamics.planning.pretraining import pretraining
from cpt_dynamics.schedules import Schedule

PEAK, PT = 8e-3, "warmup 50 to 8e-3; constant 750; linear 200 to 8e-4"
SETTINGS: dict[str, Any] = {"lambda": 0.99, "warmup": "peak", "carry_over": True, "lr_power": 0.1}
BEFORE = Scenario(Schedule(shape="wsd", end=0.1), 1000, Schedule(shape="cosine"), 300, PEAK, 50, 30)
RUNS: dict[str, Any] = {  # fitted runs: changes of `BEFORE`
    "cosine": {},
    "half": {"continual": Schedule(shape="cosine", peak=0.5), "replay": 0.5},
    "wsd": {"continual": Schedule(shape="wsd", end=0.1), "replay": 0.25},
    "constant": {"pretraining": Schedule(shape="wsd", end=1.0), "continual": Schedule(peak="last"), "replay": 0.75},
    "linear": {"pretraining": Schedule(shape="wsd", end=0.4), "continual": Schedule(shape="linear", peak="last")},
}
REPLAY: dict[str, Any] = {  # Fig. 19, where beta is not printed; the laws' forms are those that Fig. 12 speaks for
    "general": ("cpt_replay_general_convex", "fig19", {"beta": 0.01}),
    "domain": ("cpt_replay_domain_saturating", "fig19", {"beta": 0.5}),
}
PLAIN: dict[str, Any] = {"general": ("cpt", "fig03", {}), "domain": ("cpt", "fig03", {})}
TRAINING = ["--pretraining", PT, "--steps", "300"]


def curves(law: str, parameters: dict[str, float], noise: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows and losses of all runs, with a little noise from a fixed seed."""
    steps = np.concatenate([np.arange(100, 1001, 75), 1000 + np.unique(np.geomspace(1, 300, 20).round().astype(int))])
    parts = [replace(BEFORE, **change).features(SETTINGS, steps).assign(run=run) for run, change in RUNS.items()]
    table = pd.concat(parts, ignore_index=True)
    return table, losses(law, parameters, table, noise)


def write(folder: Path, name: str, laws: dict[str, Any], refits: bool) -> list[str]:
    """Fit files as the command fit writes them, one for each role."""
    paths = []
    for role, (law, figure, others) in laws.items():
        printed = published.find(figure, {"general": "general", "domain": "strong"}[role]).parameters
        table, loss = curves(law, {**{k: v for k, v in printed.items() if v is not None}, **others}, 2e-3)
        sign = get(law, "positive" if role == "general" else "negative")
        if refits:
            left_out = leave_one_curve_out(sign, table, loss, n_starts=3, n_screen=64)
            curves_of = {"curves": [asdict(curve) for curve in left_out.curves]}
            found, more = left_out.found, {"left_out": curves_of, "intervals": asdict(intervals(left_out))}
        else:
            found, more = fit(sign, table, loss), {}
        paths.append(str(folder / f"{name}_{role}.json"))
        files.write_json(paths[-1], {**found.to_json(), "validation": role, **more})
    return paths


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Files of laws of the replay ratio, without refits."""
    return write(tmp_path_factory.mktemp("replayed"), "replay", REPLAY, refits=False)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Files of Eq. 4 with refits without each run."""
    return write(tmp_path_factory.mktemp("plain"), "plain", PLAIN, refits=True)


def fits_of(paths: list[str]) -> list[Fit]:
    return [Fit.from_json(json.loads(Path(path).read_text(encoding="utf-8"))) for path in paths]


def pair_of(paths: list[str]) -> Pair:
    return Pair(*fits_of(paths))


def printed_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def text_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return " ".join(capsys.readouterr().out.split())


# --- pre-training -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "potential"),
    [
        (PT, 0.1),
        ("warmup 50 to 8e-3; wsd 950 to 8e-4 decay 0.2 shape exponential", 0.1),
        ("warmup 50 to 8e-3; cosine 950 to 0", 0.0),
        ("constant 20 at 1e-3; 1-sqrt 80 to 5e-4", 0.5),
        ("constant 500 at 1e-3", 1.0),
        ("constant 1 at 1e-3", 1.0),
        ("warmup 90 to 1e-3; constant 10", 1.0),
        ("cosine 400 to 1e-4 from 1e-3", 0.1),
        ("exponential 400 to 1e-4 from 1e-3", 0.1),
        ("linear 400 to 0 from 1e-3", 0.0),
    ],
)
def test_an_expression_becomes_a_schedule_with_the_same_lr(expression: str, potential: float) -> None:
    found = pretraining(expression)
    assert found.lr == pytest.approx(parse(expression).lr, abs=1e-9 * found.peak_lr)
    assert found.schedule.end == pytest.approx(potential)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 60),
    st.integers(0, 60),
    st.integers(3, 200),
    st.floats(1e-5, 1.0),
    st.floats(0.01, 0.9),
    st.sampled_from(["linear", "cosine", "1-sqrt", "exponential"]),
)
def test_every_warmup_hold_and_decay_is_understood(
    warmup: int, hold: int, decay: int, peak: float, end: float, shape: str
) -> None:
    parts = [f"warmup {warmup} to {peak!r}"] if warmup else []
    parts += [f"constant {hold} at {peak!r}"] if hold else []
    expression = "; ".join([*parts, f"{shape} {decay} to {peak * end!r} from {peak!r}"])
    assert pretraining(expression).lr == pytest.approx(parse(expression).lr, abs=2e-9 * peak)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("constant 100 at 1e-3; linear 50 to 5e-4; constant 50", "is not a linear warm-up, a constant stretch and one"),
        ("delayed; warmup 10 to 1e-3; cosine 90 to 0", "none of them delayed"),
        ("constant 100 at 1e-3; continual: linear 50 to 0", "leave out what comes after `continual:`"),
        ("warmup 100 to 1e-3", "is not a linear warm-up, a constant stretch and one"),
        ("constant 100 at 0", "the LR is 0 at every step"),
    ],
)
def test_other_pretrainings_are_refused(expression: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        pretraining(expression)


# --- recommend ----------------------------------------------------------------------------------------------


def test_the_best_plan_is_the_best_of_a_dense_grid(replayed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    result = printed_json(
        capsys, "recommend", *replayed, "--weight", "0.6", *TRAINING, "--tolerance", "0.002", "--beyond"
    )
    (plan,) = result["plans"]
    assert list(plan["knobs"]) == ["peak_lr", "replay"]
    assert result["measure"] == "change"
    pair = pair_of(replayed)
    best = BEFORE
    for knob, found in plan["knobs"].items():
        best = best.with_knob(knob, found["value"])
    for role, (before, after) in best.outcome(pair.roles()).items():
        assert (plan["before"][role], plan["after"][role]) == pytest.approx((before, after), abs=1e-12)
        assert plan["changes"][role] == pytest.approx(after - before, abs=1e-12)
    assert plan["goal"] == pytest.approx(0.6 * plan["changes"]["general"] + 0.4 * plan["changes"]["domain"])
    axes = {"peak_lr": np.geomspace(0.02, 1, 14) * PEAK, "replay": np.linspace(0, 0.95, 14)}
    assert plan["goal"] <= grid(pair, BEFORE, axes, 0.6).objective + 1e-5
    turning = turning_length(pair, best, 1500)
    assert plan["turning"]["steps"] == turning.steps
    assert turning.reason in plan["turning"]["reason"]
    assert plan["critical_point"]["loss"] == pytest.approx(critical_point(pair.general, best.replay))


def test_the_flat_range_ends_where_the_tolerance_does(replayed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    result = printed_json(capsys, "recommend", *replayed, "--weight", "0.6", *TRAINING, "--tolerance", "0.002")
    knobs = result["plans"][0]["knobs"]
    best = BEFORE
    for knob, found in knobs.items():
        best = best.with_knob(knob, found["value"])
    pair, goal = pair_of(replayed), result["plans"][0]["goal"]
    for knob, found in knobs.items():
        low, high = found["flat"]
        assert low <= found["value"] <= high
        inside = scan(pair, best, knob, [low, high]).objective(0.6)
        assert (inside <= goal + 0.002 + 1e-9).all()
        for end, limit, factor in ((low, found["searched"][0], 0.97), (high, found["searched"][1], 1.03)):
            if end != limit:
                assert scan(pair, best, knob, [end * factor]).objective(0.6)[0] > goal + 0.002
    assert any(found["edge"] is None for found in knobs.values())


def test_weights_and_lengths_are_a_table(replayed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["recommend", *replayed, "--weight", "0.3", "--weight", "0.8", "--pretraining", PT, "--peak", "4e-3"]
    plans = printed_json(capsys, *arguments, "--steps", "150", "300")["plans"]
    assert [(plan["weight"], plan["steps"]) for plan in plans] == [(0.3, 150), (0.8, 150), (0.3, 300), (0.8, 300)]
    replay = [plan["knobs"]["replay"]["value"] for plan in plans]
    assert replay[0] < replay[1]  # the more the D_pt loss counts, the more replay
    assert main([*arguments, "--steps", "100", "--cap", "0.01"]) == 0
    lines = capsys.readouterr().out.splitlines()
    head = next(i for i, line in enumerate(lines) if line.split()[:2] == ["w1", "steps"])
    assert [line.split()[:2] for line in lines[head + 1 : head + 3]] == [["0.3", "100"], ["0.8", "100"]]
    assert sum(line.startswith("w1 = ") for line in lines) == 2
    assert sum(line.startswith("- cap of 0.01 on the rise of the D_pt loss") for line in lines) == 2


def test_what_is_given_is_not_chosen(replayed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["recommend", *replayed, "--weight", "0.5", *TRAINING]
    only_peak = printed_json(capsys, *arguments, "--replay", "0.25")
    assert list(only_peak["plans"][0]["knobs"]) == ["peak_lr"]
    assert "replay ratio: 25 %" in only_peak["training"]
    only_replay = printed_json(capsys, *arguments, "--peak", "last")
    assert list(only_replay["plans"][0]["knobs"]) == ["replay"]
    assert any("from the last LR of PT" in line for line in only_replay["training"])


def test_checkpoints_are_compared_by_final_losses_unless_told(
    plain: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["recommend", *plain, "--weight", "0.7", *TRAINING, "--choose", "potential", "--peak", "last"]
    final, change = (printed_json(capsys, *arguments, *more) for more in ([], ["--measure", "change"]))
    assert (final["measure"], change["measure"]) == ("final", "change")
    plans = [result["plans"][0] for result in (final, change)]
    assert plans[0]["goal"] == pytest.approx(0.7 * plans[0]["after"]["general"] + 0.3 * plans[0]["after"]["domain"])
    assert plans[0]["knobs"]["potential"]["value"] < plans[1]["knobs"]["potential"]["value"]
    assert any("would be favoured for having been worse" in line for line in final["training"])


def test_several_lengths_are_all_that_is_tried_where_the_length_is_chosen(
    plain: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["recommend", *plain, "--weight", "0.1", "--pretraining", PT, "--peak", "4e-3", "--choose", "steps"]
    listed = printed_json(capsys, *arguments, "--steps", "200", "350", "150")["plans"]
    assert "in refits" in text_of(capsys, *arguments, "--steps", "50", "60")
    assert len(listed) == 1
    assert listed[0]["knobs"]["steps"]["value"] == 350
    assert listed[0]["knobs"]["steps"]["edge"] == "upper"
    free = printed_json(capsys, *arguments, "--steps", "200", "--range", "steps=100:400")["plans"][0]
    assert free["steps"] == free["knobs"]["steps"]["value"] == 400


def test_intervals_are_the_optima_of_the_refits(plain: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["recommend", *plain, "--weight", "0.3", *TRAINING, "--beyond"]
    plan = printed_json(capsys, *arguments)["plans"][0]
    general, domain = fits_of(plain)
    refits = [json.loads(Path(path).read_text(encoding="utf-8"))["left_out"]["curves"] for path in plain]
    axis = np.geomspace(0.02, 1, 80) * PEAK
    best = []
    for one, other in zip(*refits, strict=True):
        member = Pair(replace(general, parameters=one["parameters"]), replace(domain, parameters=other["parameters"]))
        best.append(axis[np.argmin(scan(member, BEFORE, "peak_lr", axis).objective(0.3))])
    low, high = plan["knobs"]["peak_lr"]["interval"]
    assert (low, high) == pytest.approx((min(best), max(best)), rel=0.06)
    assert low < high
    assert low <= plan["knobs"]["peak_lr"]["value"] <= high
    assert "the range over 5 refits, each without one run" in plan["interval_reason"]


def test_without_refits_it_says_so(replayed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    text = text_of(capsys, "recommend", *replayed, "--weight", "0.5", *TRAINING, "--replay", "0.2")
    assert "no interval: the fit of D_pt and of D_cpt holds no refits without single runs (fit --intervals" in text


def test_refits_that_leave_a_parameter_open_give_no_interval(
    plain: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(Path(plain[1]).read_text(encoding="utf-8"))
    content["left_out"]["curves"][2]["undetermined"] = ["C1", "L0"]
    files.write_json(tmp_path / "domain.json", content)
    found = printed_json(capsys, "recommend", plain[0], str(tmp_path / "domain.json"), "--weight", "0.3", *TRAINING)
    plan = found["plans"][0]
    assert plan["knobs"]["peak_lr"]["interval"] is None
    assert plan["interval_reason"] == "no interval: without wsd, the other runs do not determine C1, L0 (D_cpt)"


def test_the_cap_gives_the_critical_mixture_ratio(replayed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["recommend", *replayed, "--weight", "0.6", *TRAINING, "--cap", "0.01"]
    plan = printed_json(capsys, *arguments)["plans"][0]
    best = BEFORE.with_knob("peak_lr", plan["knobs"]["peak_lr"]["value"])
    expected = critical_mixture_ratio(pair_of(replayed), best, 0.01, "end")
    assert plan["cap"]["share"] == pytest.approx(expected.ratio)
    assert plan["cap"]["reason"] == expected.reason


def test_extrapolation_and_the_fits_warnings_are_said(
    replayed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(Path(replayed[0]).read_text(encoding="utf-8"))
    files.write_json(tmp_path / "general.json", {**content, "warnings": ["a2 is at its lower bound"]})
    paths = [str(tmp_path / "general.json"), replayed[1]]
    far = ["recommend", *paths, "--weight", "0", "--pretraining", PT, "--steps", "1000", "--replay", "0.9"]
    text = text_of(capsys, *far)
    assert "warning: D_pt and D_cpt: s1cpt is 0 to" in text
    assert "warning: D_pt and D_cpt: replay is 0.9 in the prediction" in text
    assert "warnings of the fits themselves: - D_pt: a2 is at its lower bound" in text


def test_files_in_the_wrong_order_are_noticed(replayed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    text = text_of(capsys, "recommend", *replayed[::-1], "--weight", "0.5", *TRAINING, "--replay", "0")
    assert "are the two files in the right order?" in text


# --- inside of what was fitted ------------------------------------------------------------------------------

LOW = 0.4 * PEAK  # the lowest peak LR of CPT in the fitted runs, but for the first step of a decay
ACROSS = "reads S2 with one lambda"


def changed(folder: Path, paths: list[str], **ranges: list[float]) -> list[str]:
    """The fits as if they had been made within other ranges."""
    found = []
    for path in paths:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        found.append(str(folder / Path(path).name))
        files.write_json(found[-1], {**content, "ranges": {**content["ranges"], **ranges}})
    return found


def test_a_choice_stays_within_the_fitted_values(replayed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["recommend", *replayed, "--weight", "0.6", *TRAINING]
    inside, beyond = (printed_json(capsys, *arguments, *more)["plans"][0] for more in ([], ["--beyond"]))
    assert inside["knobs"]["peak_lr"]["searched"] == pytest.approx((LOW, PEAK), rel=0.01)
    assert inside["knobs"]["replay"]["searched"] == pytest.approx((0, 0.75))
    assert not any(found["outside"] for found in inside["knobs"].values())
    assert beyond["knobs"]["peak_lr"]["searched"] == pytest.approx((0.02 * PEAK, PEAK))
    assert beyond["knobs"]["replay"]["searched"] == pytest.approx((0, 0.95))
    away = beyond["knobs"]["peak_lr"]["outside"]
    assert away[0] == pytest.approx(0.02 * PEAK)
    assert all(value < LOW for value in away)


def test_peak_lrs_outside_are_refused_unless_told_to_and_then_marked(
    plain: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["recommend", *plain, "--weight", "0.1", *TRAINING, "--range"]
    for limits in ("peak_lr=4e-3:2e-2", "peak_lr=1e-3:8e-3"):
        line = refused(capsys, [*arguments, limits])
        assert "is outside of what was fitted, 0.00319 to 0.008: stay inside, add runs" in line
        assert "--beyond" in line
    above = [*arguments, "peak_lr=1.2e-2:2e-2", "--beyond"]
    plan = printed_json(capsys, *above)["plans"][0]
    peak = plan["knobs"]["peak_lr"]["value"]
    assert {peak, 1.2e-2, 2e-2} <= set(plan["knobs"]["peak_lr"]["outside"])
    assert plan["outside"]["goal"] is True
    for role in ("general", "domain"):
        fitted, here = plan["outside"]["after"][role]["peak_lr_cpt"]
        assert fitted == pytest.approx((LOW, PEAK), rel=0.01)
        assert here == pytest.approx((peak, peak), rel=0.01)
        assert plan["outside"]["before"][role] == {}
    text = text_of(capsys, *above)
    assert f"peak LR {peak:.3g}* " in text
    assert "end of 0.012* to 0.02*: a better one may lie beyond" in text
    assert "- * outside of what was fitted: D_pt and D_cpt: peak LR of CPT" in text
    assert "(fitted: 0.00319 to 0.008)" in text
    assert f"law cpt {ACROSS}, and no fitted run has such a peak LR of CPT; such laws err" in text
    assert "--law auto" in text


def test_what_lies_inside_has_no_mark(plain: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    text = text_of(capsys, "recommend", *plain, "--weight", "0.3", *TRAINING)
    assert "*" not in text.replace("w1*", "").replace("w1)*", "")


def test_losses_of_longer_runs_and_of_replay_ratios_outside_are_marked(
    replayed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    far = ["recommend", *replayed, "--weight", "0.3", "--pretraining", PT, "--steps", "1000", "--replay", "0.9"]
    plan = printed_json(capsys, *far)["plans"][0]
    assert {"s1cpt", "replay"} <= plan["outside"]["after"]["general"].keys()
    assert plan["outside"]["before"] == {"general": {}, "domain": {}}
    assert f"-> {plan['after']['general']:.3f}*" in text_of(capsys, *far)
    assert f" {plan['before']['general']:.3f} ->" in text_of(capsys, *far)


def test_every_mark_is_explained(plain: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The plan itself lies inside, and what was searched does not."""
    arguments = ["recommend", *plain, "--weight", "0.1", *TRAINING, "--range", "peak_lr=1e-3:8e-3", "--beyond"]
    plan = printed_json(capsys, *arguments)["plans"][0]
    assert not any(any(names.values()) for names in (plan["outside"]["before"], plan["outside"]["after"]))
    text = text_of(capsys, *arguments)
    assert " 0.001* to 0.008" in text
    assert "- * outside of what was fitted: no run tells whether" in text


def test_one_fitted_peak_leaves_nothing_to_choose(
    replayed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["recommend", *changed(tmp_path, replayed, peak_lr_cpt=[6e-3, 6e-3]), "--weight", "0.3", *TRAINING]
    line = refused(capsys, [*arguments, "--replay", "0.2"])
    assert "nothing to choose: the fits know one peak LR of CPT, 0.006; add runs" in line
    assert "--beyond" in line
    both = printed_json(capsys, *arguments)["plans"][0]["knobs"]
    assert both["peak_lr"]["value"] == 6e-3
    assert len(both["replay"]["curve"]["values"]) > 10
    assert "the only one that was fitted" in text_of(capsys, *arguments)


def test_fits_that_share_no_peak_with_the_plan_or_each_other(
    plain: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--weight", "0.3", *TRAINING]
    high = changed(tmp_path, plain, peak_lr_cpt=[1e-2, 2e-2])
    line = refused(capsys, ["recommend", *high, *arguments])
    assert "is searched over 0.00016 to 0.008, and was 0.01 to 0.02 in the fits: add runs" in line
    line = refused(capsys, ["schedule", *high, *arguments])
    assert "the peak of PT: a peak LR of CPT of 0.008 is outside of what was fitted, 0.01 to 0.02" in line
    assert "have no peak LR of CPT in common" in refused(capsys, ["recommend", high[0], plain[1], *arguments])
    old = json.loads(Path(plain[0]).read_text(encoding="utf-8"))
    del old["ranges"]["peak_lr_cpt"]  # a file that does not tell
    files.write_json(tmp_path / "old.json", old)
    searched = printed_json(capsys, "recommend", str(tmp_path / "old.json"), plain[1], *arguments)["plans"][0]
    assert searched["knobs"]["peak_lr"]["searched"] == pytest.approx((LOW, PEAK), rel=0.01)


def test_laws_with_one_lambda_are_doubted_across_peaks_alone(
    plain: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--weight", "0.3", *TRAINING, "--choose", "potential", "--peak"]

    def doubts(paths: list[str], peak: str) -> list[str]:
        plan = printed_json(capsys, "recommend", *paths, *given, peak)["plans"][0]
        return [line for line in plan["warnings"] if ACROSS in line]

    (line,) = doubts(plain, "8e-3")
    assert line.startswith("D_pt and D_cpt: law cpt")
    assert "the peak LRs of CPT in the fit are 0.00319 to 0.008" in line
    one = changed(tmp_path, plain, peak_lr_cpt=[8e-3, 8e-3])
    assert doubts(one, "8e-3") == []
    (line,) = doubts(one, "4e-3")
    assert "no fitted run has such a peak LR of CPT" in line
    table, loss = curves("s1_only", {**fits_of(plain)[0].parameters}, 2e-3)
    files.write_json(tmp_path / "s1.json", fit("s1_only", table, loss).to_json())
    (line,) = doubts([str(tmp_path / "s1.json"), plain[1]], "8e-3")
    assert line.startswith("D_cpt: law cpt")


def test_a_schedule_stays_within_the_fitted_peaks(plain: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    high = "warmup 50 to 2e-2; constant 750; linear 200 to 8e-4"
    arguments = ["schedule", *plain, "--weight", "0.1", "--steps", "300", "--knots", "8", "--floor", "8e-4"]
    assert printed_json(capsys, *arguments, "--pretraining", high)["peak_cap"] == pytest.approx(PEAK, rel=0.01)
    more = ["--pretraining", PT, "--peak-cap", "2e-2"]
    assert "--peak-cap: a peak LR of CPT of 0.02 is outside of what" in refused(capsys, [*arguments, *more])
    beyond = printed_json(capsys, *arguments, *more, "--beyond")
    assert beyond["peak"] == pytest.approx(2e-2)
    assert "peak_lr_cpt" in beyond["outside"]["after"]["domain"]
    assert all("peak_lr_cpt" in row["outside"]["domain"] for row in beyond["compared"])
    text = text_of(capsys, *arguments, *more, "--beyond")
    assert f"{beyond['compared'][0]['domain']:.4f}* " in text
    assert "D_cpt loss * outside of what was fitted" in text
    assert "peak LR of CPT 0.02 (fitted: 0.00319 to 0.008)" in text
    down = ["schedule", *plain, "--weight", "1", "--pretraining", PT, "--steps", "300", "--knots", "8"]
    inside, outside = (printed_json(capsys, *down, *option)["peak"] for option in ([], ["--beyond"]))
    assert inside == pytest.approx(LOW, rel=0.01)
    assert outside < 0.9 * LOW


def test_losses_and_the_goal_have_bands_from_the_curves_left_out(
    plain: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--weight", "0.3", *TRAINING]
    plan = printed_json(capsys, "recommend", *plain, *arguments)["plans"][0]
    contents = {
        role: json.loads(Path(path).read_text(encoding="utf-8"))
        for role, path in zip(("general", "domain"), plain, strict=True)
    }
    errors = []
    for role, weight in (("general", 0.3), ("domain", 0.7)):
        known, loss = contents[role]["intervals"], plan["after"][role]
        assert plan["bands"]["after"][role]["half_width"] == pytest.approx(known["end"]["half_width"] * loss)
        assert plan["bands"]["after"][role]["level"] == 0.9
        before = known["rows"]["half_width"] * plan["before"][role]
        assert plan["bands"]["before"][role]["half_width"] == pytest.approx(before)
        errors.append(weight * loss * np.array([c["end_error"] for c in contents[role]["left_out"]["curves"]]))
    expected = band(np.abs(errors[0] + errors[1]), 0.9)
    assert plan["bands"]["goal"] == pytest.approx({"half_width": expected.half_width, "level": expected.level})
    text = text_of(capsys, "recommend", *plain, *arguments)
    assert f"goal ± {expected.half_width:.3f} (90%), by errors at the end alone" in text
    old = contents["general"]  # a file of an earlier version
    del old["intervals"]["rows"]
    for curve in old["left_out"]["curves"]:
        del curve["spread"], curve["lost"]
    files.write_json(tmp_path / "old.json", old)
    found = printed_json(capsys, "recommend", str(tmp_path / "old.json"), plain[1], *arguments)["plans"][0]["bands"]
    assert found["before"]["general"] is None
    assert found["after"] == plan["bands"]["after"]
    assert found["goal"] == plan["bands"]["goal"]


def test_curves_that_lose_something_do_not_count_for_the_goal(
    plain: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(Path(plain[0]).read_text(encoding="utf-8"))
    content["left_out"]["curves"][0] |= {"lost": ["C2"], "end_error": 0.5}
    files.write_json(tmp_path / "general.json", content)
    general = str(tmp_path / "general.json")
    plan = printed_json(capsys, "recommend", general, plain[1], "--weight", "0.3", *TRAINING)["plans"][0]
    assert plan["bands"]["goal"]["half_width"] < 0.1


def test_without_intervals_there_are_no_bands(replayed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    plan = printed_json(capsys, "recommend", *replayed, "--weight", "0.3", *TRAINING)["plans"][0]
    none = {"general": None, "domain": None}
    assert plan["bands"] == {"before": none, "after": none, "goal": None}


# --- schedule -----------------------------------------------------------------------------------------------


def test_the_schedule_is_the_one_of_planning(
    replayed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "lr.csv"
    arguments = ["schedule", *replayed, "--weight", "0.4", *TRAINING, "--replay", "0.3", "--floor", "4e-4"]
    arguments += ["--peak-cap", "6e-3", "--knots", "12"]
    result = printed_json(capsys, *arguments, "--out", str(out))
    base = replace(BEFORE, replay=0.3)
    expected = optimise(pair_of(replayed), base, 0.4, floor=4e-4, peak_cap=6e-3, knots=12)
    assert result["lr"] == pytest.approx(expected.lr.tolist(), abs=2e-6 * expected.peak)
    assert result["compared"][0]["objective"] == pytest.approx(expected.objective)
    assert [row["schedule"] for row in result["compared"]] == ["optimised", "constant", "cosine", "linear", "wsd"]
    assert result["before"]["general"] == pytest.approx(base.ends(pair_of(replayed).general)[0])
    table = pd.read_csv(out)
    assert table.columns.tolist() == ["step", "lr"]
    assert table["step"].tolist() == list(range(1, 301))
    assert table["lr"].to_numpy() == pytest.approx(np.array(result["lr"]), rel=1e-7)
    assert 4e-4 <= table["lr"].iloc[30:].min() <= table["lr"].max() <= 6e-3 * (1 + 1e-7)


def test_the_schedule_is_printed_with_what_is_doubtful(replayed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["schedule", *replayed, "--weight", "0.2", *TRAINING, "--knots", "8"]
    text = text_of(capsys, *arguments)
    assert "from LR 0.0008 to 0.008" in text  # a tenth of the peak of PT, and the peak, if not given
    assert "prefers one abrupt fall to a gradual one by its form" in text
    assert "the peak is its cap (0.008)" in text
    zero = text_of(capsys, *arguments, "--weight", "0.7", "--floor", "0")
    assert "though nothing is trained" in zero


# --- figures and errors -------------------------------------------------------------------------------------


def test_figures_are_written(replayed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = [*replayed, "--weight", "0.3", "--pretraining", PT, "--steps"]
    calls = {
        "plan.png": ["recommend", *short, "80", "100", "--replay", "0.2"],
        "lr.svg": ["schedule", *short, "100", "--knots", "6"],
    }
    start = {".png": b"\x89PNG", ".svg": b"<?xml"}
    for name, call in calls.items():
        path = tmp_path / name
        assert main([*call, "--plot", str(path)]) == 0
        assert f"figure: {path}" in capsys.readouterr().out
        assert path.read_bytes().startswith(start[path.suffix])


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--weight", "1.5"], "--weight 1.5: the weight of the D_pt loss lies between 0 and 1"),
        (["--weight", "nan"], "--weight nan"),
        (["--weight", "0.5", "--choose", "replay"], "law 'cpt' of"),
        (["--weight", "0.5", "--cap", "0.05"], "--cap needs laws of the replay ratio"),
        (["--weight", "0.5", "--replay", "0.3"], "neither law reads the replay ratio"),
        (["--weight", "0.5", "--peak", "1e-3"], "nothing is left to choose"),
        (["--weight", "0.5", "--peak", "fast", "--choose", "potential"], "--peak fast: give an LR above 0, or last"),
        (["--weight", "0.5", "--peak", "1e-3", "--choose", "peak_lr"], "is both given and to be chosen"),
        (["--weight", "0.5", "--end", "1"], "--end 1: give an LR from 0 to the peak of PT"),
        (["--weight", "0.5", "--rewarmup", "300", "--end", "1e-3"], "no peak LR up to that of PT has a schedule"),
        (["--weight", "0.5", "--rewarmup", "-1"], "--rewarmup is -1: give a number from 0"),
        (["--weight", "0.5", "--decay-share", "0"], "--decay-share 0"),
        (["--weight", "0.5", "--tolerance", "-1"], "--tolerance is -1.0"),
        (["--weight", "0.5", "--params", "-1"], "--params is -1.0"),
        (["--weight", "0.5", "--range", "replay=0:1"], "'replay' is not chosen here, only peak_lr"),
        (["--weight", "0.5", "--range", "peak_lr=2:1"], "write peak_lr=LOW:HIGH"),
        (["--weight", "0.5", "--range", "peak_lr"], "write peak_lr=LOW:HIGH"),
        (["--weight", "0.5", "--pretraining", "up 5"], "no shape 'up'"),
        (["--weight", "0.5", "--steps", "0"], "--steps is 0: give a number from 1"),
        (["--weight", "0.5", "--plot", "x.gif"], "the name must end in .pdf, .png, .svg"),
    ],
)
def test_bad_options_of_recommend_get_one_line(
    plain: list[str], capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert message in refused(capsys, ["recommend", *plain, *TRAINING, *more])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--floor", "9e-3"], "--floor 0.009: give an LR from 0 and below --peak-cap, 0.008"),
        (["--floor", "2e-3", "--peak-cap", "1e-3"], "below --peak-cap, 0.001"),
        (["--floor", "-1"], "--floor is -1.0: give a number from 0"),
        (["--weight", "-0.1"], "--weight -0.1"),
        (["--knots", "1"], "--knots is 1: give a number from 2"),
        (["--out", "nowhere/lr.csv"], "there is no folder nowhere"),
    ],
)
def test_bad_options_of_schedule_get_one_line(
    plain: list[str], capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert message in refused(capsys, ["schedule", *plain, *TRAINING, "--weight", "0.5", *more])


@pytest.mark.parametrize("command", ["recommend", "schedule"])
def test_files_that_are_no_fits_of_cpt_get_one_line(
    plain: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    whole = json.loads(Path(plain[0]).read_text(encoding="utf-8"))
    table, loss = curves("cpt", whole["parameters"], 0.0)
    table = table.assign(tokens=1e6 * table["step"], params=1e8)
    others = {
        "difference.json": fit(get("shift_power").fixed(E=10.0, beta=0.2), table, 0.1 * table["s1cpt"], n_starts=1),
        "tokens.json": fit(get("chinchilla").fixed(alpha=0.3, beta=0.3), table, loss, n_starts=1),
        "unknown.json": fit(get("cpt_unknown").fixed(alpha=0.5, S1pt=7.0, beta=0.2, E=10.0), table, loss, n_starts=1),
    }
    for name, found in others.items():
        files.write_json(tmp_path / name, found.to_json())
    (tmp_path / "corrupt.json").write_text('{"law": "cpt"')
    files.write_json(tmp_path / "other.json", {"law": "cpt"})
    files.write_json(tmp_path / "refits.json", {**whole, "left_out": {"curves": [{"group": "a"}]}, "data_hash": "0"})
    expected = {
        "absent.json": "absent.json does not exist",
        "corrupt.json": "corrupt.json is not valid JSON",
        "other.json": "other.json: this is not a fit",
        "difference.json": "law 'shift_power' gives a difference of losses",
        "tokens.json": "law 'chinchilla' reads tokens, which no LR schedule gives",
        "unknown.json": "law 'cpt_unknown' does not read the LR of PT and of CPT",
        "refits.json": "refits.json: key 'left_out.curves.0.undetermined' is missing",
    }
    for name, message in expected.items():
        arguments = [command, str(tmp_path / name), plain[1], "--weight", "0.5", *TRAINING]
        assert message in refused(capsys, arguments), name
    same = refused(capsys, [command, plain[0], plain[0], "--weight", "0.5", *TRAINING])
    assert "are fits of the same losses" in same
