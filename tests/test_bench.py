"""The benchmarks run both sides and report what they say; no time is asserted."""

import json
from pathlib import Path

import pytest

from cpt_dynamics.cli import main


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
