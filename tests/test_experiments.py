"""Schedules, runs and the branch planner."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from worlds.tiny import CONSTANT, EXPERIMENTS, TINY

from cpt_dynamics import config as configuration
from cpt_dynamics import experiments, schedules
from cpt_dynamics.cli.why import reasons
from cpt_dynamics.closure import import_closure
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Run
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


def test_pieces_make_up_a_schedule_and_the_same_lrs_have_the_same_pieces() -> None:
    wsd = schedules.pieces(Schedule(shape="wsd"), 100, 1.0, warmup=10)
    assert [(piece.shape, piece.steps) for piece in wsd] == [("rise", 10), ("constant", 70), ("linear", 20)]
    level = schedules.pieces(Schedule(shape="constant", peak="last"), 30, 1.0, warmup=10, last=1.0)
    constant = schedules.pieces(Schedule(), 60, 1.0, warmup=10)
    assert schedules.cut(wsd, 80) == schedules.cut([*constant, *level], 80)
    assert schedules.cut(wsd, 81) != schedules.cut([*constant, *level], 81)
    cut = schedules.cut(wsd, 85)
    lr = schedules.lr(Schedule(shape="wsd"), 100, 1.0, warmup=10)
    assert np.array_equal(np.concatenate([piece.lr for piece in cut]), lr[:85])
    assert (cut[-1].steps, cut[-1].whole) == (5, 20)


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


def test_a_phase_keeps_its_schedule_and_a_run_its_name_and_seed(world: Path) -> None:
    wsd, on = {"shape": "wsd", "decay_share": 0.25}, {"shape": "constant", "peak": "last"}
    found = load(
        world,
        {
            "trunk": {"phases": [phase(schedule=wsd)], "seeds": 2},
            "early": {"after": "trunk", "at": 10, "phases": [phase(steps=8, schedule=on)]},
            "late": {"after": "trunk", "at": 20, "phases": [phase(steps=8, schedule=on)]},
        },
    )
    trunk, early, late = (found.runs[name].phases[0] for name in ("trunk", "early", "late"))
    assert [(one.cut, one.steps, one.planned) for one in (trunk, early, late)] == [
        (False, 24, 24),
        (True, 10, 24),
        (True, 20, 24),
    ]
    assert trunk.schedule == early.schedule == late.schedule == trunk.own_schedule == Schedule.model_validate(wsd)
    assert (early.own_schedule, late.own_schedule) == (Schedule(shape="constant", decay_share=0.25), None)
    after = found.runs["late"].phases[1]
    assert after.schedule.peak == "last"
    assert after.peak == pytest.approx(late.lr[-1] / TINY["optimizer"]["peak_lr"])
    first, second = found.runs["trunk"], found.runs["trunk.seed2"]
    assert (second.base, second.group, second.repeat) == ("trunk", "trunk", 2)
    assert second.seed == first.seed + 1


def test_a_start_too_short_to_be_shared_counts_to_the_first_branch_that_has_it(world: Path) -> None:
    config = configuration.load([])
    short = {"phases": [phase(data={"general": 1}, steps=5), phase(data={"strong": 1}, steps=19, schedule=CONSTANT)]}
    runs = {"trunk": {"phases": [phase()]}, "short": short, "fork": {"after": "short", "at": 20, "phases": [phase()]}}
    plan = experiments.plan(load(world, runs).runs.values(), config)
    assert [len(plan.chains[name]) for name in runs] == [1, 1, 2]
    origins = {name: [branch.rpartition("-")[0] for branch in plan.origin(name, [1, 5, 6, 20, 21])] for name in runs}
    assert origins == {
        "trunk": ["trunk"] * 5,
        "short": ["trunk", "trunk", "short", "short", "short"],
        "fork": ["trunk", "trunk", "short", "short", "fork"],
    }


def by_lr(run: Run, others: list[Run]) -> tuple[str | None, str | None]:
    """Hidden and scratch run, found by comparing the LR of every step."""
    found: dict[Any, str] = {}
    for other in sorted(others, key=lambda other: other.steps):
        mixtures = {phase.mixture for phase in other.phases}
        alike = (other.model, other.seed) == (run.model, run.seed) and len(mixtures) == 1
        if alike and not other.continual and np.array_equal(other.lr[: run.steps], run.lr):
            found[mixtures.pop()] = other.name
    general, domain = run.phases[0].mixture, run.phases[-1].mixture
    return found.get(general), found.get(domain) if domain != general else None


@pytest.mark.parametrize("scale", [None, "smoke", "gpu", "paper"])
def test_twins_and_starts_by_schedules_are_those_by_lrs(scale: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    found = experiments.load(configuration.load([f"config/scales/{scale}.yaml"] if scale else []))
    runs, twins = list(found.runs.values()), 0
    for run in runs:
        for other in runs:
            assert run.has_lr_of(other) == np.array_equal(run.lr[: other.steps], other.lr)
        expected = by_lr(run, runs)
        if expected[0] is None:
            with pytest.raises(UserError, match=f"run '{run.name}' has no hidden"):
                found.twins(run.name, found.runs)
            continue
        known = found.twins(run.name, found.runs)
        assert (known.hidden, known.scratch) == expected
        twins += run.continual
    assert twins > 10


def test_runs_are_added_in_memory_as_from_a_file(world: Path) -> None:
    config, added = configuration.load([]), {"added": {"after": "trunk", "at": 14, "phases": [phase(steps=6)]}}
    known = load(world, EXPERIMENTS["runs"])
    made = known.extended(added, config)
    stated = load(world, {**EXPERIMENTS["runs"], **added})
    assert list(made.runs) == list(stated.runs)
    plans = [experiments.plan(one.runs.values(), config) for one in (made, stated)]
    assert plans[0].chains == plans[1].chains
    with pytest.raises(UserError, match=r"unknown key 'runs.added.colour'"):
        known.extended({"added": {**added["added"], "colour": "red"}}, config)


def test_a_state_is_named_by_its_past_alone(world: Path) -> None:
    found = load(world, EXPERIMENTS["runs"])
    config = configuration.load([])
    trunk, fork = found.runs["trunk"], found.runs["fork"]
    assert prefix_digest(trunk, 14, config) == prefix_digest(fork, 14, config)
    assert prefix_digest(trunk, 15, config) != prefix_digest(fork, 15, config)
    warmer = configuration.parse({**TINY, "device": {**TINY["device"], "threads": 2}}, "test")
    assert prefix_digest(trunk, 14, config) != prefix_digest(trunk, 14, warmer)


def test_a_rule_depends_on_the_code_it_runs_and_no_other() -> None:
    training = modules(import_closure("cpt_dynamics.cli.train"))
    assert {"training/loop.py", "corpora/batches.py", "experiments/branches.py"} <= training
    assert "cpt_dynamics/schedules.py" in training
    assert not {"fitting/varpro.py", "kit/style.py", "fig03/draw.py", "report/document.py"} & training
    drawing = modules(import_closure("cpt_dynamics.cli.plot", "cpt_dynamics.figures.fig03.draw"))
    assert {"fig03/draw.py", "fig03/result.py", "kit/style.py"} <= drawing
    assert "fig02/draw.py" not in drawing  # a figure is redrawn for its own module alone
    assert "training/loop.py" not in drawing


def modules(paths: list[str]) -> set[str]:
    """Each module with its folder."""
    return {"/".join(Path(path).parts[-2:]) for path in paths}


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
