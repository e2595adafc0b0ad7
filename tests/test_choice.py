"""The choice of a law and of lambda from the runs at hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from worlds.schedules import ALL, EXCESS, NOISE, PEAK, SLOW, STEPS, features_of, tables

from cpt_dynamics import curves, laws
from cpt_dynamics.fitting.choice import Candidate, Runs, attempt, candidates, choose_lambda, choose_law, ranked


def runs_of(*names: str, after: str = "", peaks: tuple[float, ...] = (PEAK,)) -> Runs:
    made = [tables(names, after, peak) for peak in peaks]
    rows, plans = (pd.concat([pair[i] for pair in made], ignore_index=True) for i in (0, 1))
    return Runs.of(curves.features(rows.assign(loss=1.0), plans))


@pytest.mark.parametrize(("name", "fast"), [("constant", False), ("cosine", False), ("wsd", True), ("drop", True)])
def test_which_lr_falls_fast(name: str, fast: bool) -> None:
    assert runs_of(name).fast is fast


def test_what_runs_can_tell() -> None:
    one, two = runs_of("constant"), runs_of("constant", peaks=(PEAK, 2 * PEAK))
    assert (one.peaks, two.peaks, one.continual, one.longest) == (1, 2, False, STEPS)
    assert "noise_peaks" in candidates(two)
    assert "noise_peaks" not in candidates(one)
    full, annealed = runs_of("constant", after="cosine"), runs_of("wsd", after="cosine")
    assert full.continual
    assert (full.annealed, annealed.annealed) == (False, True)
    assert "cpt_noise_shift" in candidates(full)
    assert "cpt_noise_shift" not in candidates(annealed)  # where nothing tells dK


def test_every_candidate_is_a_law() -> None:
    for known in (True, False):
        for continual in (True, False):
            for peaks in (1, 2):
                for annealed in (True, False):
                    names = candidates(Runs(continual, known, peaks, True, annealed, 100))
                    assert set(names) <= laws.LAWS.keys()
                    least = min(names, key=lambda name: len(laws.get(name).parameters))
                    assert len(laws.get(names[0]).parameters) <= len(laws.get(least).parameters) + 2


@pytest.mark.parametrize(
    ("law", "truth"), [("noise_excess", EXCESS), ("annealing", {"L0": 2.5, "A": 0.8, "alpha": 0.5, "C": 0.5})]
)
def test_the_law_that_made_the_losses_is_chosen(law: str, truth: dict[str, float]) -> None:
    found = choose_law(features_of(law, truth, ALL, 0.95), laws=["noise", "noise_excess", "annealing"])
    assert found.chosen.law.name == law
    assert found.chosen.left_out is not None
    assert found.chosen.left_out < 1e-3


def test_a_law_that_has_nothing_of_a_term_is_not_chosen() -> None:
    """Losses without M: the law with it can only end at M = 0, or fit noise."""
    found = choose_law(features_of("noise", NOISE, ALL), laws=["noise", "noise_excess"])
    if found.chosen.law.name == "noise_excess":
        assert found.chosen.found.parameters["M"] > 0
    else:
        assert all(one.out or one.found.objective >= found.chosen.found.objective for one in found.ranked)


def test_without_a_fast_fall_the_least_law_is_taken() -> None:
    features = features_of("noise_excess", EXCESS, SLOW)
    found = choose_law(features)
    assert found.chosen.law.name == "noise"
    assert "no LR falls fast" in found.reason
    assert any("add a run with a fast decay" in line for line in found.missing)
    assert choose_lambda(laws.get("annealing"), features) == pytest.approx(1 - 60 / STEPS)


def test_lambda_is_what_the_runs_tell() -> None:
    truth = {"L0": 2.5, "A": 0.8, "alpha": 0.5, "C": 0.5}
    for memory in (30, 120):
        lambda_ = 1 - memory / STEPS
        features = features_of("annealing", truth, ALL, lambda_)
        assert choose_lambda(laws.get("annealing"), features) == pytest.approx(lambda_)
    beyond = features_of("annealing", truth, ALL, 0.5)
    assert choose_lambda(laws.get("annealing"), beyond) == pytest.approx(
        1 - 60 / STEPS
    )  # an end of the grid tells nothing


def made_up(found: Candidate, objective: float, left_out: float | None, **parameters: float) -> Candidate:
    from dataclasses import replace

    known: Any = replace(found.found, objective=objective, parameters={**found.found.parameters, **parameters})
    return replace(found, found=known, left_out=left_out)


def test_the_rule() -> None:
    features = features_of("noise", NOISE, ALL)
    runs = Runs.of(features(0.0))
    one = attempt(laws.get("noise"), features, runs)
    good, better = made_up(one, 2.0, 0.01), made_up(one, 1.0, 0.02)
    assert ranked([good, better], runs).chosen.found.objective == 1.0
    worse = made_up(one, 1.0, 0.031)  # more than three times the best
    assert ranked([good, worse], runs).chosen.found.objective == 2.0
    assert "3.1 times" in ranked([good, worse], runs).ranked[1].out
    gone = made_up(one, 1.0, 0.01, K=0.0)
    assert ranked([good, gone], runs).chosen.found.objective == 2.0
    assert ranked([good, gone], runs).ranked[1].out == "K is 0"
    untested = made_up(one, 1.0, None)
    assert ranked([good, untested], runs).chosen.found.objective == 1.0


def test_only_curves_that_leave_a_fast_fall_count() -> None:
    features = features_of("noise", NOISE, ("constant", "cosine", "wsd"))
    one = attempt(laws.get("noise"), features, Runs.of(features(0.0)))
    assert len(one.curves) == 3
    assert one.folds == 2  # without wsd nothing falls fast
    counted = [curve.mean_error for curve in one.curves if not curve.group.startswith("wsd")]
    assert one.left_out == pytest.approx(np.mean(counted))
