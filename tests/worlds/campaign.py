"""Campaigns of five small branches."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from cpt_dynamics.cli import main
from cpt_dynamics.config import Config
from cpt_dynamics.experiments import Branch, Plan
from cpt_dynamics.slots import campaign, stages
from cpt_dynamics.training import branch as training
from cpt_dynamics.training import workers
from worlds.tiny import CONSTANT, EXPERIMENTS


def continual(at: int, data: str) -> dict[str, Any]:
    phase = {"phase": "continual", "data": {data: 1}, "steps": "continual", "schedule": CONSTANT}
    return {"after": "trunk", "at": at, "phases": [phase]}


RUNS = {
    **EXPERIMENTS["runs"],
    "weak": continual(14, "weak"),
    "late": continual(20, "strong"),
    "cosine": {"phases": [{**EXPERIMENTS["runs"]["trunk"]["phases"][0], "schedule": {"shape": "cosine"}}]},
}
FIGURES = {
    "fig02": {"title": "Shift", "runs": ["trunk", "fork"]},
    "fig06": {"title": "More", "runs": ["weak", "late", "cosine"]},
}


def in_this_process(
    branches: Iterable[Branch],
    plan: Plan,
    config: Config,
    processes: int,
    devices: list[str],
    watch: workers.Watch,
) -> list[str]:
    """In place of `workers.train`, whose processes take seconds to start."""
    for branch in branches:
        if watch.allows(branch.id):
            watch.started(branch.id)
            training.train([branch], plan, config, skip_done=True)
            watch.ended(branch.id, done=True)
    return []


def away(home: Path, tmp_path: Path, minutes: float = 9.0) -> Path:
    """A working folder into which everything was received."""
    out, work = str(tmp_path / "parts"), tmp_path / "work"
    assert main(["campaign", "pack", "--out", out, "--minutes", str(minutes)]) == 0
    assert main(["campaign", "receive", out, "--to", str(work)]) == 0
    return work


def two_stages(home: Path, monkeypatch: pytest.MonkeyPatch) -> float:
    """Minutes of a slot in which three branches of this plan fit."""

    def times(plan: Plan, config: Config, stated: dict[str, float] | None = None) -> stages.Times:
        return stages.Times(dict.fromkeys(plan.branches, 10.0), 0.0)

    monkeypatch.setattr(campaign, "times", times)
    return 30 / 60
