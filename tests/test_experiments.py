"""Schedules, runs and the branch planner."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import CONSTANT, EXPERIMENTS, TINY
from hypothesis import given
from hypothesis import strategies as st

from cpt_dynamics import config as configuration
from cpt_dynamics import experiments, schedules
from cpt_dynamics.cli.why import reasons
from cpt_dynamics.closure import import_closure
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.branches import common_steps, prefix_digest
from cpt_dynamics.schedules import Schedule

SHAPES = st.sampled_from(["constant", "cosine", "linear", "wsd"])
DECAYS = st.sampled_from(["linear", "exponential", "1-sqrt", "cosine"])


@given(SHAPES, DECAYS, st.integers(20, 200), st.floats(0.01, 0.9), st.integers(0, 5))
def test_a_schedule_has_its_steps_peak_and_end(shape: Any, decay: Any, steps: int, end: float, warmup: int) -> None:
    lr = schedules.lr(Schedule(shape=shape, decay=decay, end=end), steps, 0.1, warmup)
    assert len(lr) == steps
    assert lr.max() <= 0.1 * (1 + 1e-12)
    assert (lr > 0).all()
    assert lr[-1] == pytest.approx(0.1 if shape == "constant" else 0.1 * end)
    assert (np.diff(lr[:warmup]) > 0).all()
    assert (np.diff(lr[warmup:]) <= 1e-15).all()


def test_a_schedule_without_rewarmup_goes_on_from_the_last_lr() -> None:
    lr = schedules.lr(Schedule(shape="linear", peak="last"), 4, 1.0, warmup=3, last=0.2)
    assert lr == pytest.approx([0.15, 0.1, 0.05, 0.0])


@pytest.mark.parametrize(
    ("schedule", "arguments", "said"),
    [
        (Schedule(), {"steps": 4, "warmup": 4}, "does not fit into a phase of 4 steps"),
        (Schedule(peak="last"), {"steps": 4, "warmup": 0}, "no phase comes before"),
        (Schedule(shape="cosine", end=0.5, peak=0.2), {"steps": 4, "warmup": 0}, "above the LR"),
        (Schedule(shape="wsd", decay="exponential"), {"steps": 10, "warmup": 0}, "needs schedule.end above 0"),
        (Schedule(shape="wsd", decay_share=1.0), {"steps": 10, "warmup": 2}, "decay of 10 steps does not fit"),
    ],
)
def test_a_schedule_that_cannot_be_is_said(schedule: Schedule, arguments: dict[str, int], said: str) -> None:
    with pytest.raises(UserError, match=said):
        schedules.lr(schedule, peak_lr=1.0, **arguments)


def load(world: Path, runs: dict[str, Any], figures: dict[str, Any] | None = None) -> experiments.Experiments:
    entries = {"runs": runs, "figures": figures or {}}
    (world / "config/experiments.yaml").write_text(yaml.safe_dump(entries, sort_keys=False))
    return experiments.load(configuration.load([]))


def phase(**changes: Any) -> dict[str, Any]:
    return {"phase": "pretraining", "data": {"general": 1}, "steps": "pretraining", **changes}


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ({"a": {"phases": [phase(data={"general": 1.2, "strong": -0.2})]}}, r"runs\.a.*between 0 and 1"),
        ({"a": {"phases": [phase(data={"general": 0.5})]}}, r"runs\.a.*sum to 0.5, not 1"),
        ({"a": {"phases": [phase(data={"poems": 1})]}}, "'poems' is neither a role nor a corpus"),
        ({"a": {"phases": [phase(steps="2 * forever")]}}, r"runs\.a.*give a number or a multiple"),
        ({"a": {"after": "b", "phases": [phase()]}}, "names the run 'b'"),
        ({"a": {"after": "a", "phases": [phase()]}}, "leads back to itself"),
        ({"a": {"phases": [phase()]}, "b": {"after": "a", "at": 25, "phases": [phase()]}}, "beyond the end"),
        ({"a": {"phases": [phase(colour="red")]}}, "unknown key 'runs.a.phases.0.colour'"),
        ({"a": {"phases": [phase()], "models": ["huge"]}}, "names 'huge', which is not in models"),
    ],
)
def test_a_mistake_in_the_experiments_names_its_key(world: Path, runs: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        load(world, runs)


def test_shared_steps_are_planned_once(world: Path) -> None:
    decayed = phase(schedule={"shape": "wsd", "decay_share": 0.25})
    found = load(
        world,
        {
            "trunk": {"phases": [phase()]},
            "decayed": {"phases": [decayed]},
            "fork": {"after": "decayed", "phases": [phase(phase="continual", data={"strong": 1}, steps=8)]},
            "same": {"after": "trunk", "at": 10, "phases": [phase(steps=14, schedule=CONSTANT)]},
            "seeds": {"phases": [phase()], "seeds": 2},
        },
    )
    plan = experiments.plan(found.runs.values(), configuration.load([]))
    assert common_steps(found.runs["trunk"], found.runs["decayed"]) == 18
    shape = {b.run.name: (b.first, b.last, b.forks) for b in plan.branches.values()}
    assert shape == {
        "trunk": (0, 24, (18,)),
        "decayed": (18, 24, (24,)),
        "fork": (24, 32, ()),
        "seeds.seed2": (0, 24, ()),
    }  # "same" and the first of "seeds" are wholly within the trunk
    assert [last for _, last in plan.chains["fork"]] == [18, 24, 32]
    assert [b.run.name for b in plan.needed(["fork"])] == ["trunk", "decayed", "fork"]


def test_a_state_is_named_by_its_past_alone(world: Path) -> None:
    found = load(world, EXPERIMENTS["runs"])
    config = configuration.load([])
    trunk, fork = found.runs["trunk"], found.runs["fork"]
    assert prefix_digest(trunk, 14, config) == prefix_digest(fork, 14, config)
    assert prefix_digest(trunk, 15, config) != prefix_digest(fork, 15, config)
    warmer = configuration.parse({**TINY, "device": {**TINY["device"], "threads": 2}}, "test")
    assert prefix_digest(trunk, 14, config) != prefix_digest(trunk, 14, warmer)


def test_a_rule_depends_on_the_code_it_runs_and_no_other() -> None:
    training = {Path(path).name for path in import_closure("cpt_dynamics.cli.train")}
    assert {"loop.py", "batches.py", "schedules.py", "branches.py"} <= training
    assert not {"varpro.py", "style.py", "fig03.py", "document.py"} & training
    drawing = {Path(path).name for path in import_closure("cpt_dynamics.cli.plot", "cpt_dynamics.plots.fig03")}
    assert "fig03.py" in drawing
    assert "fig02.py" not in drawing  # a figure is redrawn for its own module alone
    assert "loop.py" not in drawing


def test_reasons_of_a_dry_run_are_read() -> None:
    printed = """
[Sat]
Job 3: training trunk-1
Reason: Missing output files: a, b, c, d; Updated input files: e
[Sat]
Job 2: drawing fig02
Reason: Input files updated by another job: x, y
"""
    assert reasons(printed) == [
        ("training trunk-1", "missing output files: a, b, c and 1 more; updated input files: e"),
        ("drawing fig02", "its inputs are made anew"),
    ]


def test_a_figure_says_what_it_is_made_from() -> None:
    from cpt_dynamics.experiments.runs import FigureEntry

    assert FigureEntry(title="x", curves="none").runs == []
    cases: list[dict[str, Any]] = [{"runs": []}, {"curves": "none", "runs": ["pt_wsd"]}]
    for wrong in cases:
        with pytest.raises(ValueError, match="list its runs"):
            FigureEntry.model_validate({"title": "x", **wrong})
