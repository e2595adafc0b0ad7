"""The benchmarks run both sides and report what they say; no time is asserted."""

import json
from pathlib import Path

import numpy as np
import pytest

from cpt_dynamics import laws
from cpt_dynamics.cli import main
from cpt_dynamics.fitting import benchmark

REPOSITORY = Path(__file__).parents[1]


def test_training_is_measured_beside_hugging_face_trainer(world: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "training", "--steps", "2", "--rounds", "2", "--json"]) == 0
    out = capfd.readouterr().out
    result = json.loads(out[out.index('{\n "ratio_eager"') :])
    speeds = [result[side]["rounds"] for side in ("kit", "trainer_eager")]
    assert all(len(rounds) == 2 and min(rounds) > 0 for rounds in speeds)
    assert result["ratio_eager"] > 0
    assert "ratio_compiled" not in result  # the configuration of these tests turns compilation off


def test_sharing_counts_steps(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "sharing", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["steps_trained"] == 24 + 12
    assert result["steps_unshared"] == 24 + 26
    assert result["ratio"] == pytest.approx(36 / 50)


def test_a_model_that_is_not_there_is_said(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "training", "--model", "huge"]) == 2
    assert "there is no model 'huge'" in capsys.readouterr().err


@pytest.mark.parametrize("role", ["general", "strong"])
def test_fitting_is_measured_beside_the_papers_procedure(
    role: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)  # where the published coefficients are
    size = ["--curves", "6", "--points", "40", "--starts", "2", "--rounds", "2"]
    assert main(["bench", "fit", *size, "--role", role, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["rows"] == 240
    varpro, numerical, analytic = (result[side] for side in ("varpro", "numerical", "analytic"))
    assert [len(side["rounds"]) for side in (varpro, numerical, analytic)] == [2, 1, 1]
    assert [side["n_starts"] for side in (numerical, analytic)] == [2, 2]
    best = min(numerical["objective"], analytic["objective"])
    assert result["objective_ratio"] == pytest.approx(varpro["objective"] / best, rel=1e-12)
    assert result["objective_ratio"] <= 1 + 1e-6
    assert result["speedup"] == pytest.approx(numerical["seconds"] / varpro["seconds"], rel=0.05, abs=0.1)
    assert result["speedup_analytic"] == pytest.approx(analytic["seconds"] / varpro["seconds"], rel=0.05, abs=0.1)


def test_the_timed_curves_differ_and_are_noisy() -> None:
    truth = {"L0": 3.0, "A": 0.5, "alpha": 0.5, "B": 0.4, "E": 30, "beta": 0.2, "C1": 0.3, "C2": 0.3}
    features, loss = benchmark.synthetic(truth, benchmark.MOST, 30, seed=1)
    ends = np.column_stack([features[name][29::30] for name in ("s1pt", "s2pt", "s1cpt", "s2cpt")])
    assert len(np.unique(ends.round(9), axis=0)) == benchmark.MOST
    assert len(np.unique(ends[:, 1].round(9))) == len(benchmark.PRETRAINING)
    exact = laws.get("cpt").predict(truth, features)
    assert np.log(loss / exact).std() == pytest.approx(benchmark.NOISE, rel=0.1)


def test_areas_are_timed_and_compared_with_their_definition(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["bench", "areas", "--steps", "1000", "--rounds", "3", "--json"]
    assert main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    assert len(result["rounds"]) == 3
    assert result["milliseconds"] == sorted(result["rounds"])[1]
    assert result["max_relative_difference"] < 1e-12
    defined = benchmark.defined_momentum
    monkeypatch.setattr(benchmark, "defined_momentum", lambda rates, lambda_: defined(rates, lambda_) * (1 + 1e-8))
    assert main(arguments) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "--curves", "21"], "--curves is 21: choose 1 to 20"),
        (["fit", "--points", "3"], "--points is 3"),
        (["fit", "--starts", "0"], "--starts and --rounds must be at least 1"),
        (["areas", "--steps", "10"], "--steps must be at least 100"),
    ],
)
def test_sizes_that_cannot_be_measured_are_named(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert main(["bench", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_reading_is_measured_and_gives_the_same_tokens_for_any_number_of_threads(
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = []
    for threads in ("1", "3"):
        assert main(["bench", "reading", "--megabytes", "1.5", "--threads", threads, "--json"]) == 0
        results.append(json.loads(capsys.readouterr().out))
    assert results[0]["sha256"] == results[1]["sha256"]
    for stage in ("documents", "split", "tokens"):
        assert results[0][stage]["megabytes_per_cpu_second"] > 0
        assert results[0][stage]["peak_megabytes"] > 10
