"""Mistakes in config/claims.yaml and in files of results are one line that names the file and the key."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from cpt_dynamics import claims
from cpt_dynamics.config import Role, read_yaml
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.fig03.result import Result as Fig03
from cpt_dynamics.figures.kit.result import read_result

CLAIM: dict[str, Any] = {"finding": 2, "text": "A claim."}
CRITERION: dict[str, Any] = {"value": "fig03.fits.*.free_sign_B", "above": 0, "says": "B on {key}"}


def written(folder: Path, claim: dict[str, Any] | None = None, **criterion: Any) -> Path:
    path = folder / "claims.yaml"
    stated = {"claims": {"one": {**(claim or CLAIM), "criteria": {"first": {**CRITERION, **criterion}}}}}
    path.write_text(yaml.safe_dump(stated))
    return path


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"format": ".3q"}, "claims.one.criteria.first.format"),
        ({"is": True}, "claims.one.criteria.first"),
        ({"value": "fig03.first_step.less", "says": "x"}, "claims.one.criteria.first.value"),
    ],
)
def test_a_mistake_of_a_criterion_is_named(tmp_path: Path, more: dict[str, Any], key: str) -> None:
    with pytest.raises(UserError) as raised:
        claims.load(written(tmp_path, **more))
    assert str(tmp_path / "claims.yaml") in str(raised.value)
    assert key in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("shown_in", ["fig04", "fig99"])
def test_a_check_of_a_figure_is_a_number_of_it(tmp_path: Path, shown_in: str) -> None:
    with pytest.raises(UserError, match=r"claims\.yaml: claims\.one\..*" + shown_in):
        claims.load(written(tmp_path, {"shown_in": shown_in, "text": "A check."}))


def result(**fits: float) -> Fig03:
    kind = Fig03.model_fields["fits"].annotation
    assert kind is not None
    part = kind.__args__[1]
    return Fig03.model_construct(fits={Role(role): part.model_construct(free_sign_B=b) for role, b in fits.items()})  # type: ignore[call-arg]


@pytest.mark.parametrize("says", ["B {nothing}", "B {key", "B {} {0}", "B {key:.3f}", "B {key.nothing}"])
def test_a_text_that_cannot_be_filled_in_is_one_line(tmp_path: Path, says: str) -> None:
    stated = claims.load(written(tmp_path, says=says))
    with pytest.raises(UserError, match=r"claims\.yaml: fig03\.fits\.\*\.free_sign_B"):
        claims.evaluate(stated, {"fig03": result(general=1.0)})


def test_each_key_is_a_criterion_and_none_is_not_defined(tmp_path: Path) -> None:
    stated = claims.load(written(tmp_path))
    (verdict,) = claims.evaluate(stated, {"fig03": result(general=1.0, strong=-1.0)})
    assert [(one.says, one.path, one.holds) for one in verdict.outcomes] == [
        ("B on general", "fig03.fits.general.free_sign_B", True),
        ("B on strong", "fig03.fits.strong.free_sign_B", False),
    ]
    (verdict,) = claims.evaluate(stated, {"fig03": result()})
    assert verdict.word == "not testable"
    assert [(one.says, one.value) for one in verdict.outcomes] == [("B on ...", None)]


def test_a_key_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text("claims:\n  one: {text: a}\n  one: {text: b}\n")
    with pytest.raises(UserError, match=r"claims\.yaml.*'one' is there twice.*line 3"):
        read_yaml(path)
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\n")
    assert read_yaml(path)["b"] == {"x": 3, "y": 2}
    with pytest.raises(UserError, match=f"{tmp_path} cannot be read"):
        read_yaml(tmp_path)


@pytest.mark.parametrize("text", ["[]", "null", '{"figure": "fig04"}'])
def test_a_result_of_another_figure_is_not_taken(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fig03.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"fig03\.json is no result of fig03: make it again"):
        read_result(path, Fig03)
