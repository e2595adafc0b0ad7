"""Finished branches in a folder that can be committed: what comes back is done, and what does not belong is refused."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from cpt_dynamics import config as configuration
from cpt_dynamics import experiments
from cpt_dynamics.cli import main
from cpt_dynamics.config import Config
from cpt_dynamics.experiments import Plan
from cpt_dynamics.files import read_json, write_json
from cpt_dynamics.layout import Layout
from cpt_dynamics.training import branch as training
from cpt_dynamics.training.results import is_finished

FOLDER = Path("data/measured/tiny")


@pytest.fixture
def trained(tiny: Config) -> tuple[Config, Plan]:
    """The scale `tiny` with all its branches trained and packed, of which nothing is left in its results."""
    config = configuration.load([])
    plan = experiments.plan(experiments.load(config).runs.values(), config)
    training.train(plan.branches.values(), plan, config)
    assert main(["measured", "--pack"]) == 0
    shutil.rmtree(Layout(config).branch("").parent)
    shutil.rmtree(Layout(config).checkpoints)
    return config, plan


def finished(config: Config, plan: Plan) -> list[str]:
    return [branch.id for branch in plan.branches.values() if is_finished(branch, config)]


def test_what_was_measured_is_done_and_trained_no_more(trained: tuple[Config, Plan], capsys: Any) -> None:
    config, plan = trained
    assert finished(config, plan) == []
    assert main(["measured", "--restore"]) == 0
    assert finished(config, plan) == list(plan.branches)
    dates = [Layout(config).branch(name).stat().st_mtime_ns for name in plan.branches]
    assert dates == sorted(dates)  # parents first
    assert main(["train", "--plan"]) == 0
    assert capsys.readouterr().out.count("done before") == len(plan.branches)
    assert not Layout(config).checkpoints.exists()
    assert main(["measured", "--pack"]) == 0
    assert "0 branches more" in capsys.readouterr().out


def test_a_branch_without_its_parent_is_refused(trained: tuple[Config, Plan], capsys: Any) -> None:
    config, plan = trained
    fork = next(branch for branch in plan.branches.values() if branch.parent)
    (FOLDER / f"{fork.parent}.json").unlink()
    assert main(["measured", "--restore"]) == 2
    assert f"{fork.id} starts from {fork.parent}" in capsys.readouterr().err
    assert finished(config, plan) == []


def test_losses_of_other_text_are_refused(trained: tuple[Config, Plan], capsys: Any) -> None:
    _, plan = trained
    path = FOLDER / f"{next(iter(plan.branches))}.json"
    write_json(path, {**read_json(path), "text": {}})
    assert main(["measured", "--restore"]) == 2
    assert "was not trained from" in capsys.readouterr().err


def test_what_is_measured_is_not_replaced(trained: tuple[Config, Plan], capsys: Any) -> None:
    _, plan = trained
    first, second = list(plan.branches)[:2]
    assert main(["measured", "--restore"]) == 0
    shutil.copy(FOLDER / f"{second}.parquet", FOLDER / f"{first}.parquet")
    assert main(["measured", "--pack"]) == 2
    assert "has other losses" in capsys.readouterr().err
