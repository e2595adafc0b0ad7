"""Planned contrasts: the decision from effect, interval and margin, and where decisions are shown."""

import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from scipy import stats
from worlds import REPOSITORY

from cpt_dynamics import claims
from cpt_dynamics.claims import WORDS, contrasts
from cpt_dynamics.claims.file import Claims, Planned
from cpt_dynamics.cli import main
from cpt_dynamics.cli.planned import lines
from cpt_dynamics.figures.contrasts.effects import EFFECTS
from cpt_dynamics.figures.contrasts.estimates import largest_of, mean_of, ratio_of, slope_of
from cpt_dynamics.figures.contrasts.result import Contrast, Effect, Result
from cpt_dynamics.files import read_json
from cpt_dynamics.report.contrasts import margin, shown

STATED: dict[str, Any] = {
    "scale": "mine",
    "text": "It falls.",
    "contrast": "one run against another",
    "effect": "slope",
    "unit": "seed",
    "expects": "below",
    "margin": -0.01,
    "margin_in": "nats",
    "level": 0.1,
    "rivals": ["no effect"],
    "says": "since",
}


@pytest.fixture(scope="module")
def kit() -> Claims:
    return claims.load(REPOSITORY / "config/claims.yaml")


def planned(**more: Any) -> Planned:
    return Planned.model_validate({**STATED, **more})


def between(low: float, high: float) -> Effect:
    """A mean over three units whose 90 % interval has these ends."""
    half = (high - low) / 2 / stats.t.ppf(0.95, 2)
    return Effect(estimate=(low + high) / 2, standard_error=half, freedom=2, units={"seed 1": (low + high) / 2})


def word(plan: Planned, *effects: Effect) -> str:
    return contrasts.decide(plan, Contrast(losses={str(i): one for i, one in enumerate(effects)})).word


@pytest.mark.parametrize(
    ("expects", "bound", "ends", "expected"),
    [
        ("below", -0.01, (-0.03, -0.02), "supported"),
        ("below", -0.01, (-0.03, 0.0), "inconclusive"),
        ("below", -0.01, (-0.009, 0.02), "contradicted"),
        ("above", 0.05, (0.06, 0.09), "supported"),
        ("above", 0.05, (0.04, 0.09), "inconclusive"),
        ("above", 0.05, (-0.2, 0.04), "contradicted"),
        ("within", 0.2, (-0.1, 0.19), "supported"),
        ("within", 0.2, (-0.1, 0.21), "inconclusive"),
        ("within", 0.2, (-0.3, 0.3), "inconclusive"),
        ("within", 0.2, (0.21, 0.3), "contradicted"),
        ("within", 0.2, (-0.9, -0.21), "contradicted"),
    ],
)
def test_the_side_of_a_whole_interval_decides(
    expects: str, bound: float, ends: tuple[float, float], expected: str
) -> None:
    plan = planned(expects=expects, margin=bound)
    decided = contrasts.decide(plan, Contrast(losses={"strong": between(*ends)}))
    assert (decided.losses["strong"].low, decided.losses["strong"].high) == pytest.approx(ends)
    assert decided.word == decided.losses["strong"].word == expected


@pytest.mark.parametrize(
    ("expects", "bound", "value", "expected"),
    [
        ("below", 0.3, 0.299, "supported"),
        ("below", 0.3, 0.301, "contradicted"),
        ("below", 0.3, 0.3, "inconclusive"),
        ("above", 0.66, 0.7, "supported"),
        ("above", 0.66, 0.6, "contradicted"),
        ("within", 0.1, -0.09, "supported"),
        ("within", 0.1, -0.11, "contradicted"),
    ],
)
def test_without_a_level_the_number_alone_decides(expects: str, bound: float, value: float, expected: str) -> None:
    plan = planned(expects=expects, margin=bound, level=None)
    decided = contrasts.decide(plan, Contrast(losses={"general": Effect(estimate=value, units={})}))
    assert decided.word == expected
    assert decided.losses["general"].low is None


def test_an_end_on_the_margin_spans_it() -> None:
    exact = Effect(estimate=-0.01, standard_error=0.0, freedom=2, units={})
    assert word(planned(), exact) == "inconclusive"


def test_of_two_losses_the_worse_word_counts() -> None:
    good, open_, bad = between(-0.03, -0.02), between(-0.03, 0.0), between(0.0, 0.02)
    assert word(planned(), good, good) == "supported"
    assert word(planned(), good, open_) == word(planned(), open_, good) == "inconclusive"
    assert word(planned(), open_, bad) == word(planned(), bad, good) == "contradicted"


def test_nothing_is_decided_without_an_interval_or_with_a_run_missing() -> None:
    one = Effect(estimate=-1.0, units={"seed 1": -1.0})
    assert word(planned(), one) == word(planned(), between(-0.03, -0.02), one) == "not testable"
    assert word(planned()) == "not testable"
    early = contrasts.decide(planned(), Contrast(losses={"strong": between(-0.03, -0.02)}, missing=["run.seed3"]))
    assert early.word == "not testable"
    assert early.losses["strong"].word == "supported"
    assert contrasts.decide(planned(), Contrast(reason="it has no value")).word == "not testable"


def test_an_effect_far_on_the_other_side_contradicts() -> None:
    plan = planned(margin=0.3, level=None, contradicted_below=-0.1)
    assert word(plan, largest_of({"a": 0.1, "b": -0.09})) == "supported"
    assert word(plan, largest_of({"a": 0.1, "b": -0.11})) == "contradicted"


def test_intervals_are_those_of_student() -> None:
    values = {"seed 1": -0.02, "seed 2": -0.035, "seed 3": -0.03}
    judged = contrasts.decide(planned(level=0.05), Contrast(losses={"strong": mean_of(values)})).losses["strong"]
    low, high = stats.t.interval(0.95, 2, loc=-0.085 / 3, scale=stats.sem(list(values.values())))
    assert (judged.low, judged.high) == pytest.approx((low, high))
    x, y = {"a": 0.0, "b": 0.3, "c": 0.5, "d": 1.0}, {"a": 1.0, "b": 1.4, "c": 1.3, "d": 2.1}
    fitted = stats.linregress(list(x.values()), list(y.values()))
    found = slope_of(x, y)
    assert (found.estimate, found.standard_error, found.freedom) == pytest.approx((fitted.slope, fitted.stderr, 2))
    assert slope_of({"a": 0.0, "b": 1.0}, {"a": 1.0, "b": 3.0}).standard_error is None
    assert mean_of({"a": 1.0}).standard_error is None


def test_a_ratio_is_that_of_the_means() -> None:
    found = ratio_of({"a": 1.0, "b": 4.0}, {"a": 2.0, "b": 8.0})
    assert (found.estimate, found.units) == (0.5, {"a": 0.5, "b": 0.5})
    assert ratio_of({"a": 1.0, "b": 1.0}, {"a": 1.0, "b": 3.0}).estimate == 0.5
    assert largest_of({"a": 1.0, "b": -4.0}, size=True).estimate == 4.0


def test_the_best_rival_does_most_of_what_is_claimed() -> None:
    effects = {"one": -0.4, "two": 0.1, "three": 0.5}
    assert contrasts.best_rival(planned(), effects) == "one"
    assert contrasts.best_rival(planned(expects="above"), effects) == "three"
    assert contrasts.best_rival(planned(expects="within", margin=1), effects) == "two"
    assert contrasts.best_rival(planned(), {}) is None


# --- the file and the registry ----------------------------------------------------------------------------


def test_every_planned_contrast_has_its_function_and_no_other_is_there(kit: Claims) -> None:
    planned_by = {scale: set(contrasts.of_scale(kit, scale)) for scale in {one.scale for one in kit.planned.values()}}
    assert set.union(*planned_by.values()) == set(EFFECTS)
    assert planned_by["packages"] >= planned_by["prose"]
    assert all(name.startswith(f"{one.scale}_") for name, one in kit.planned.items())


def test_bounds_of_the_kit_are_as_they_were_fixed(kit: Claims) -> None:
    """Of each contrast the margin, the side and the level, which nobody may change once runs are trained."""
    fixed = {name: (one.expects, one.margin, one.level) for name, one in contrasts.of_scale(kit, "prose").items()}
    assert fixed["potential_peak_100"] == ("below", -0.01, 0.1)
    assert fixed["moves_between"] == ("below", 0.3, None)
    for name, one in kit.planned.items():
        assert (one.contradicted_below is not None) == name.endswith("_moves_between")
    assert "more than .1 contradicts" in kit.planned["prose_moves_between"].says
    assert kit.planned["prose_moves_between"].contradicted_below == -0.1


# --- what is written and printed ----------------------------------------------------------------------------


def stated_as(**more: Any) -> Claims:
    claim = {
        "finding": 1,
        "text": "A claim.",
        "criteria": {"a": {"value": "seeds.noise.general", "above": 0, "says": "x"}},
    }
    return Claims.model_validate({"claims": {"one": claim}, "planned": {"mine_x": {**STATED, **more}}})


def found_as(**contrast: Any) -> Result:
    return Result(figure="contrasts", title="Mine", validations={}, noise={}, contrasts={"x": Contrast(**contrast)})


def test_findings_hold_what_was_planned_measured_and_decided() -> None:
    result = found_as(
        losses={"strong": mean_of({"seed 1": -0.03, "seed 2": -0.031})}, rivals={"no effect": {"strong": 0.0}}
    )
    written = contrasts.to_json(stated_as(), "mine", result)
    assert list(written) == ["mine_x"]
    one = written["mine_x"]
    assert (one["verdict"], one["margin"], one["expects"], one["level"]) == ("supported", -0.01, "below", 0.1)
    assert one["losses"]["strong"]["units"] == {"seed 1": -0.03, "seed 2": -0.031}
    assert one["losses"]["strong"]["low"] < one["losses"]["strong"]["estimate"] < one["losses"]["strong"]["high"]
    assert (one["rivals"], one["missing"]) == ({"no effect": {"strong": 0.0}}, [])
    nothing = contrasts.to_json(stated_as(), "mine", None)["mine_x"]
    assert (nothing["verdict"], nothing["losses"]) == ("not testable", {})
    assert nothing["reason"]
    assert contrasts.to_json(stated_as(), "other", result) == {}


def test_a_line_says_effect_interval_margin_rival_and_what_is_missing() -> None:
    result = found_as(
        losses={"strong": between(-0.03, -0.02)},
        rivals={"no effect": {"strong": 0.0}},
        missing=[f"run_{i}" for i in range(6)],
    )
    made = contrasts.decisions(stated_as(), "mine", result)
    printed = re.sub(r"\s+", " ", " ".join(lines(made, result)))
    assert "not testable It falls." in printed
    assert "D_cpt: -0.025 (-0.03 to -0.02), wanted < -0.01 nats; best rival 0 (no effect)" in printed
    assert "missing: run_0, run_1, run_2, run_3 and 2 more" in printed
    assert printed.endswith("1 planned contrasts: 1 not testable")


def test_a_result_is_decided_where_it_is_drawn_and_nowhere_else() -> None:
    result = found_as(losses={"strong": between(-0.03, -0.02)})
    assert result.decisions == {}
    decided = contrasts.decided(result, stated_as(), "mine")
    assert isinstance(decided, Result)
    assert decided.decisions["x"].word == "supported"
    assert decided.decisions["x"].word in WORDS


def test_numbers_are_in_the_unit_of_the_contrast() -> None:
    assert margin(planned()).text == "< -0.01 nats"
    relative = planned(expects="within", margin=0.0005, margin_in="relative")
    assert margin(relative).text == "+- 0.05 %"
    assert margin(relative).latex == r"$\pm$ $0.05$\,\%"
    assert shown(0.00381, relative).text == "0.381 %"
    assert shown(-0.0123456, planned()).text == "-0.0123"
    assert math.isclose(float(margin(planned(margin=0.33333, margin_in="ratio")).text.split()[1]), 0.33333)


# --- the command ------------------------------------------------------------------------------------------------


def test_the_command_says_what_there_is_and_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One measured branch in a folder: nothing is testable, and each contrast names runs."""
    monkeypatch.chdir(REPOSITORY)
    folder, out = tmp_path / "measured", tmp_path / "state"
    folder.mkdir()
    for file in Path("data/measured/prose").glob("pt_constant-*"):
        shutil.copy(file, folder)
    scale = ["contrasts", "--configfile", "config/scales/prose.yaml", "--measured", str(folder)]
    assert main([*scale, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("1 of ")
    planned_here = contrasts.of_scale(claims.load(), "prose")
    assert f"{len(planned_here)} planned contrasts: {len(planned_here)} not testable" in printed
    written = read_json(out / "contrasts.json")
    assert set(written) == {f"prose_{name}" for name in planned_here}
    assert all(one["missing"] for one in written.values())
    assert {path.suffix for path in out.iterdir()} == {".json", ".pdf", ".png", ".csv"}
    for file in folder.iterdir():
        file.unlink()
    assert main(scale) == 2
    assert "has no whole run yet" in capsys.readouterr().err
