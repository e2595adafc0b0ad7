"""The scale of prose: what is fitted and what is held out, how much text it reads, and the order of its training."""

import re
from pathlib import Path

import pytest
from worlds import REPOSITORY

from cpt_dynamics import claims, experiments
from cpt_dynamics import config as configuration
from cpt_dynamics.config import Config, Model
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Experiments, Plan
from cpt_dynamics.experiments.branches import branch_digest
from cpt_dynamics.experiments.estimates import non_embedding_parameters
from cpt_dynamics.experiments.runs import steps_to_evaluate
from cpt_dynamics.slots.stages import grouped

GROUPS = Path("config/campaign-prose.yaml")
TOKENS = {"enwiki2015": 35_916_168, "plantsci": 29_035_915, "canada_law": 28_790_665, "pypi_code": 26_871_100}
HELD_OUT = {
    *("cpt_potential_100", "cpt_potential_50", "cpt_potential_10", "peak_50"),
    *("rewarm_potential_100", "rewarm_potential_50", "rewarm_potential_10", "rewarm_potential_0"),
}


@pytest.fixture
def prose(monkeypatch: pytest.MonkeyPatch) -> tuple[Config, Experiments, Plan]:
    monkeypatch.chdir(REPOSITORY)
    config = configuration.load(["config/scales/prose.yaml"])
    everything = experiments.load(config)
    return config, everything, experiments.plan(everything.runs.values(), config)


def test_no_run_reads_a_corpus_more_than_once(prose: tuple[Config, Experiments, Plan]) -> None:
    config, everything, _ = prose
    assert config.batch.sequences * config.batch.length == 2048
    for run in everything.runs.values():
        read = dict.fromkeys(TOKENS, 0.0)
        for phase in run.phases:
            for corpus, share in phase.mixture:
                read[corpus] += share * phase.steps * phase.batch.sequences * phase.batch.length
        assert all(read[corpus] < TOKENS[corpus] for corpus in TOKENS), run.name


def test_held_out_schedules_are_fitted_nowhere(prose: tuple[Config, Experiments, Plan]) -> None:
    _, everything, _ = prose
    shown = {"fig05", "seeds"}  # they compare losses, and fit no law to these runs
    for name, entry in everything.figures.items():
        if name not in shown:
            assert not {run.partition(".")[0] for run in entry.runs} & HELD_OUT, name
    assert set(everything.figures["fig10"].heldout) == HELD_OUT


def test_checkpoints_of_every_kind_are_fitted(prose: tuple[Config, Experiments, Plan]) -> None:
    config, everything, _ = prose
    for figure in ("fig03", "fig10", "comparison"):
        starts = set()
        for name in everything.figures[figure].runs:
            run = everything.runs[name]
            if run.phases[-1].phase == "continual":
                peak, last = max(run.phases[0].lr), run.phases[0].lr[-1]
                starts.add((round(peak / config.optimizer.peak_lr, 3), round(last / peak, 3)))
        assert {(1.0, 1.0), (1.0, 0.5), (1.0, 0.1), (0.5, 0.1)} <= starts, figure


def test_tiers_are_within_their_steps_and_hold_every_branch(prose: tuple[Config, Experiments, Plan]) -> None:
    _, everything, plan = prose
    groups = grouped(everything, plan, GROUPS)
    steps = {name: sum(plan.branches[one].steps for one in members) for name, members in groups.items()}
    assert list(groups) == ["tier 1, first seed", "tier 1", "tier 2", "tier 3", "sizes"]  # nothing is left over
    assert steps["tier 1, first seed"] + steps["tier 1"] <= 220_000
    assert steps["tier 2"] <= 60_000
    assert steps["tier 3"] <= 40_000
    for members in groups.values():  # depth first: what starts from a trunk follows it before another trunk begins
        trunks = [_trunk(name, plan) for name in members]
        assert [t for n, t in enumerate(trunks) if n == 0 or t != trunks[n - 1]] == list(dict.fromkeys(trunks))


def _trunk(name: str, plan: Plan) -> str:
    parent = plan.branches[name].parent
    return _trunk(parent, plan) if parent else name


def test_a_group_with_an_unknown_run_is_refused(prose: tuple[Config, Experiments, Plan], tmp_path: Path) -> None:
    _, everything, plan = prose
    (tmp_path / "groups.yaml").write_text("groups: [{name: mine, runs: [cpt_nowhere]}]")
    with pytest.raises(UserError, match="cpt_nowhere"):
        grouped(everything, plan, tmp_path / "groups.yaml")
    (tmp_path / "groups.yaml").write_text("groups: [{name: mine}]")
    with pytest.raises(UserError, match="list its figures or its runs"):
        grouped(everything, plan, tmp_path / "groups.yaml")


def test_sizes(prose: tuple[Config, Experiments, Plan]) -> None:
    config, _, _ = prose
    assert list(config.models) == ["main", "third", "triple"]
    sizes = {name: non_embedding_parameters(spec) for name, spec in config.models.items() if isinstance(spec, Model)}
    assert sizes == {
        "main": 803_968,
        "third": 332_448,
        "triple": 2_656_704,
    }


def test_out_of_domain_sets_are_measured_where_the_others_are(prose: tuple[Config, Experiments, Plan]) -> None:
    config, everything, _ = prose
    run = everything.runs["cpt_wsd"]
    dense, thin = steps_to_evaluate(run, config), steps_to_evaluate(run, config, out_of_domain=True)
    assert thin < dense
    assert {6000, 6001, 6064, 9000} <= thin
    assert {step for step in thin if step > 6064} == {7000, 8000, 9000}


@pytest.mark.parametrize("scale", [[], ["config/scales/gpu.yaml"]])
def test_a_thinner_grid_of_others_leaves_names_of_branches(
    scale: list[str | Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    config = configuration.load(scale)
    assert set(config.evaluation.model_dump()) == {"tokens", "out_of_domain_tokens", "every", "dense"}
    run = experiments.load(config).runs["cpt_wsd"]
    thinned = config.evaluation.model_copy(update={"out_of_domain_every": 4 * config.evaluation.every})
    assert branch_digest(run, 0, config) != branch_digest(run, 0, config.model_copy(update={"evaluation": thinned}))
    assert steps_to_evaluate(run, config) == steps_to_evaluate(run, config, out_of_domain=True)


@pytest.mark.parametrize("scale", ["prose", "packages"])
def test_planned_contrasts_name_runs_that_are_trained(scale: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    everything = experiments.load(configuration.load([f"config/scales/{scale}.yaml"]))
    names = {run.partition(".")[0] for run in everything.runs} | set(claims.load().planned)
    for key, contrast in claims.load().planned.items():
        if contrast.scale != scale:
            continue
        words = re.findall(
            r"\b(?:cpt|pt|rewarm|peak|replay|hidden|weak|middle|batch|unknown|transfer|packages)_\w+", contrast.contrast
        )
        assert set(words) <= names, key


def test_a_margin_that_holds_nothing_is_refused(tmp_path: Path) -> None:
    text = (REPOSITORY / "config/claims.yaml").read_text()
    path = tmp_path / "claims.yaml"
    path.write_text(text.replace("expects: within\n    margin: 0.1\n", "expects: within\n    margin: -0.1\n", 1))
    with pytest.raises(UserError, match=r"planned\.\w+: nothing lies within"):
        claims.load(path)
