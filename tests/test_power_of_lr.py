"""Whether p is a matter of weight decay: what differs between the runs, the bounds, and the numbers on the page."""

import importlib.util
import re
import sys
from types import ModuleType

import numpy as np
import pytest
from worlds import REPOSITORY

from cpt_dynamics import config as configuration
from cpt_dynamics.cli import main

PAGE = REPOSITORY / "docs/noise-law.md"


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("power_of_lr", REPOSITORY / "scripts/power_of_lr.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


power = _module()


@pytest.fixture(autouse=True)
def checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)


def test_the_scales_differ_in_the_decay_alone() -> None:
    found = [configuration.load([f"config/decay/{name}.yaml"]) for name in power.SCALES.values()]
    raw = [one.model_dump() for one in found]
    assert [one["optimizer"].pop("weight_decay") for one in raw] == [0.1, 0.0]
    assert [one.pop("scale") for one in raw] == list(power.SCALES.values())
    assert raw[0] == raw[1]
    default = configuration.load([])
    same = ("models", "batch", "lengths", "tokenizer", "corpora", "seed", "law")
    assert all(getattr(found[0], key) == getattr(default, key) for key in same)


@pytest.mark.parametrize(
    ("told", "estimate", "limits", "says"),
    [
        (True, 0.3, [(0.1, 0.5), (0.05, 0.55)], "yes"),
        (True, -0.3, [(-0.5, -0.1), (-0.55, -0.05)], "yes"),
        (True, 0.3, [(0.1, 0.5), (-0.05, 0.65)], "not told"),
        (False, 0.3, [(0.1, 0.5), (0.05, 0.55)], "not told"),
        (True, 0.1, [(0.05, 0.14), (0.06, 0.13)], "no"),
        (True, 0.1, [(0.05, 0.14), (0.04, 0.16)], "not told"),
        (True, 0.14, [(0.05, 0.23), (0.05, 0.23)], "not told"),
        (False, 0.0, [(-0.1, 0.1), (-0.1, 0.1)], "not told"),
    ],
)
def test_verdict(told: bool, estimate: float, limits: list[tuple[float, float]], says: str) -> None:
    assert power.verdict(told, estimate, limits) == says


def test_jackknife_of_means_is_their_t_interval() -> None:
    values = np.array([1.0, 2.0, 4.0, 7.0])
    means = [float(np.delete(values, i).mean()) for i in range(4)]
    low, high = power.jackknife(values.mean(), means)
    error = values.std(ddof=1) / 2
    assert (low + high) / 2 == pytest.approx(3.5)
    assert (high - low) / 2 == pytest.approx(2.3534 * error, rel=1e-4)


@pytest.mark.slow
def test_the_page_has_the_numbers_of_the_curves() -> None:
    found = {name: power.fits(power.measured(scale, "handbook"), True) for name, scale in power.SCALES.items()}
    page = dict(map(_split, PAGE.read_text(encoding="utf-8").splitlines()))
    for line in power.lines(found):
        words, numbers = _split(line)
        assert numbers == pytest.approx(page[words], rel=0.03, abs=0.011), line


def _split(line: str) -> tuple[str, list[float]]:
    """The words of a line, and its numbers."""
    number = r"-?\d+\.?\d*(?:e[-+]?\d+)?"
    return re.sub(number, "#", line), [float(one) for one in re.findall(number, line)]


def test_a_scale_whose_figures_have_no_runs_can_be_planned(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--configfile", "config/decay/with_decay.yaml"]) == 0
    assert "0 runs, 0 branches, 0 steps" in capsys.readouterr().out
