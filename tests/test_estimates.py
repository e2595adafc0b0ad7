"""Estimates before training: beside the model's own counts, what training leaves behind, and the plan command."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import REPOSITORY
from worlds.tiny import EXPERIMENTS, TINY

from cpt_dynamics import config as configuration
from cpt_dynamics import experiments
from cpt_dynamics.cli import main
from cpt_dynamics.config import Config, Model
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Branch, estimates
from cpt_dynamics.experiments.branches import saved_steps
from cpt_dynamics.layout import Layout

OLD_TOTALS = ["runs", "branches", "steps", "steps_unshared", "tokens", "list"]
OLD_ROWS = ["branch", "from_step", "to_step", "parent", "forks", "done"]
HUB = {"source": "huggingface", "repository": "a/b"}


def with_changes(changes: dict[str, Any]) -> Config:
    return configuration.parse(configuration.merge(TINY, changes), "test")


def planned(config: Config) -> list[Branch]:
    return list(experiments.plan(experiments.load(config).runs.values(), config).branches.values())


def test_the_forward_pass_costs_what_torch_counts() -> None:
    pytest.importorskip("torch")
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from cpt_dynamics.config import Batch
    from cpt_dynamics.training.model import build

    spec, length, vocabulary = Model(layers=3, width=128, heads=4, feedforward=352), 256, 1000
    config = with_changes({"models": {"small": spec.model_dump()}, "tokenizer": {"vocabulary": vocabulary}})
    model = build(spec, vocabulary, Batch(sequences=2, length=length, rope_base=1e4), 0)
    model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(2, length, dtype=torch.long))
    size = estimates.size_of("small", config)
    assert size.flops(length) * 2 * length == pytest.approx(counter.get_total_flops(), rel=0.01)
    assert size.all_parameters == sum(parameter.numel() for parameter in model.parameters())


def test_a_branch_costs_its_steps_and_its_evaluations(world: Path) -> None:
    config = with_changes({"device": {"processes": 2}, "estimates": {"teraflops": 1e-6, "start_minutes": 3}})
    trunk, fork = planned(config)
    found, left = estimates.estimate(trunk, config), estimates.estimate(fork, config)
    parameters = 4 * 16 * 16 + 3 * 16 * 32 + 3 * 16
    forward = 2 * (parameters + 300 * 16) + 4 * 1 * 16 * 16  # a token, in a sequence of 16
    assert found.tokens == 24 * 4 * 16
    assert left.tokens == 12 * 4 * 16
    # Evaluated after 1, 2, 4, 8, ... 24: batches of 64 tokens, 512 of them on each of three sets.
    assert estimates.evaluations(trunk, config) == 8
    assert found.flops == forward * (3 * found.tokens + 8 * 3 * 512)
    # The fork begins with an evaluation: 0, 1, 2, 4, 8, 12 steps after its start.
    assert left.flops == forward * (3 * left.tokens + 6 * 3 * 512)
    assert found.device_hours == pytest.approx(found.flops / 1e6 / 3600)
    assert found.minutes == pytest.approx(found.device_hours / 2 * 60 + 3)
    assert found.memory_bytes == 16 * (parameters + 300 * 16)
    both = estimates.total([found, left])
    assert (both.tokens, both.checkpoints) == (found.tokens + left.tokens, found.checkpoints + left.checkpoints)
    assert both.checkpoint_bytes == found.checkpoint_bytes


def test_batches_and_lengths_of_every_phase_are_counted(world: Path) -> None:
    entry = {
        "after": "trunk",
        "phases": [
            {"phase": "continual", "data": {"strong": 1}, "steps": 10, "batch_factor": 0.5, "length_factor": 2},
            {"phase": "continual", "data": {"strong": 1}, "steps": 5, "batch_factor": 2},
        ],
    }
    (world / "config/more.yaml").write_text(json.dumps({"runs": {"resized": entry}}))
    config = with_changes({"experiments": ["config/experiments.yaml", "config/more.yaml"]})
    branch = planned(config)[-1]
    size, found = estimates.size_of("small", config), estimates.estimate(branch, config)
    training = 3 * (10 * 2 * 32 * size.flops(32) + 5 * 8 * 16 * size.flops(16))
    validation = estimates.evaluations(branch, config) * 3 * 512 * size.flops(16)
    assert (branch.first, branch.last) == (24, 39)
    assert found.tokens == 10 * 2 * 32 + 5 * 8 * 16
    assert found.flops == training + validation


def test_training_leaves_what_was_estimated(tiny: Config) -> None:
    from cpt_dynamics.training import branch as training

    found = experiments.load(tiny)
    plan = experiments.plan(found.runs.values(), tiny)
    training.train(plan.branches.values(), plan, tiny)
    layout = Layout(tiny)
    costs = {branch.id: estimates.estimate(branch, tiny) for branch in plan.branches.values()}
    kept = list(layout.checkpoints.glob("*/state.safetensors"))
    assert len(kept) == sum(cost.checkpoints for cost in costs.values())
    for branch in plan.branches.values():
        rows = pd.read_parquet(layout.branch(branch.id))
        assert rows["step"].nunique() == estimates.evaluations(branch, tiny)
        assert rows["tokens"].max() - branch.run.tokens(branch.first) == costs[branch.id].tokens
    size = costs[branch.id].checkpoint_bytes
    assert all(size < file.stat().st_size < 1.1 * size for file in kept)  # with names and shapes


def test_checkpoints_stand_on_the_grid_where_others_leave_and_at_the_end(world: Path) -> None:
    trunk, fork = planned(with_changes({}))
    assert saved_steps(trunk, with_changes({})) == {6, 12, 14, 18, 24}
    assert saved_steps(fork, with_changes({})) == {18, 24, 26}


def folder_of(path: Path, tied: bool) -> tuple[str, int, int]:
    """A small pretrained model: its folder, its parameters without embeddings, and all of them."""
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = LlamaConfig(
        vocab_size=300,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        tie_word_embeddings=tied,
    )
    model = LlamaForCausalLM(shape)
    model.save_pretrained(path, max_shard_size="20KB")
    every = sum(parameter.numel() for parameter in model.parameters())
    return str(path), every - 300 * 32 * (1 if tied else 2), every


@pytest.mark.parametrize("tied", [True, False])
def test_the_size_of_a_pretrained_model_is_read_from_its_folder(tmp_path: Path, tied: bool) -> None:
    pytest.importorskip("torch")
    folder, parameters, every = folder_of(tmp_path / "model", tied)
    assert len(list((tmp_path / "model").glob("*.safetensors"))) > 1
    size = estimates.size_of("own", with_changes({"models": {"own": {"pretrained": folder}}}))
    assert (size.parameters, size.all_parameters) == (parameters, every)
    assert (size.layers, size.width, size.vocabulary) == (2, 32, 300)


def test_a_model_on_the_hub_needs_its_size_and_is_taken_for_a_llama() -> None:
    known = {"pretrained": "meta-llama/Llama-3.2-1B", "parameters": 973_146_112}
    changes = {"models": {"own": known}, "tokenizer": {"vocabulary": 128_256}}
    size = estimates.size_of("own", with_changes(changes))
    exact = estimates.Size(973_146_112, 128_256 * 2048, 16, 2048, 128_256)
    assert size.parameters == exact.parameters
    assert size.all_parameters == pytest.approx(exact.all_parameters, rel=0.03)
    assert size.flops(4096) == pytest.approx(exact.flops(4096), rel=0.05)
    with pytest.raises(UserError, match=r"state its non-embedding parameters in models\.own\.parameters"):
        estimates.size_of("own", with_changes({"models": {"own": {"pretrained": "meta-llama/Llama-3.2-1B"}}}))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "config.json").write_text("{"), "config.json does not state"),
        (lambda folder: (folder / "config.json").write_text('{"vocab_size": 300}'), "config.json does not state"),
        (lambda folder: [f.unlink() for f in folder.glob("*.safetensors")], r"has no \*\.safetensors"),
        (lambda folder: [f.write_bytes(f.read_bytes()[:50]) for f in folder.glob("*.safetensors")], "cannot be read"),
    ],
)
def test_a_damaged_folder_is_named(tmp_path: Path, damage: Any, said: str) -> None:
    pytest.importorskip("torch")
    folder, *_ = folder_of(tmp_path / "model", True)
    damage(tmp_path / "model")
    with pytest.raises(UserError, match=said):
        estimates.size_of("own", with_changes({"models": {"own": {"pretrained": folder}}}))


def test_the_use_of_corpora_follows_from_the_longest_run_and_the_budget(world: Path) -> None:
    config = with_changes(
        {
            "corpora": {
                "web": {**HUB, "maximum_megabytes": 0.01},
                "law": {**HUB, "maximum_tokens": 1000, "tokenizer": "here"},
            },
            "roles": {"general": "web", "strong": "law"},
            "split": {"validation_share": 0.5, "maximum_megabytes": 0.008},
        }
    )
    runs = experiments.load(config).runs.values()
    use = {one.name: one for one in estimates.corpora(runs, config)}
    assert use["web"].tokens == 24 * 4 * 16
    assert use["law"].tokens == 12 * 4 * 16
    assert use["web"].text_bytes == 8000  # cut by the split
    assert use["web"].epochs == 1536 / 1000  # half of 2,000 tokens is for validation
    assert use["web"].token_bytes == 2 * 2000
    assert use["web"].disk_bytes == 2 * 8000 + 4000
    assert use["law"].text_bytes == 4000
    assert use["rules"].tokens == 0
    assert use["rules"].epochs is use["rules"].text_bytes is None


@given(st.floats(1e-3, 1e15))
def test_scaled_numbers_keep_three_digits(value: float) -> None:
    number, prefix = estimates.scaled(value).split(" ")
    power = {"": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15}[prefix]
    assert float(number) * 10**power == pytest.approx(value, rel=0.006)
    assert float(number) < 1000


def test_units_are_those_of_a_reader() -> None:
    assert [estimates.duration(hours) for hours in (0.01, 1.5, 1234.5)] == ["0.6 min", "1.5 h", "1,234 h"]
    assert [estimates.scaled(value) for value in (0, 999.7, 83.9e9, 5e18)] == ["0 ", "1 k", "83.9 G", "5e+03 P"]


def test_plan_prints_what_it_costs(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan"]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 120
    assert "2 runs, 2 branches, 36 steps to train" in printed
    assert "8 checkpoints" in printed
    trunk = next(line for line in printed.splitlines() if line.startswith("trunk"))
    assert trunk.split()[1:3] == ["1-24", "scratch"]
    layout = Layout(configuration.load([]))
    layout.branch(trunk.split()[0]).parent.mkdir(parents=True)
    layout.branch(trunk.split()[0]).touch()
    assert main(["plan"]) == 0
    assert "done: 1 branches" in capsys.readouterr().out


def test_a_figure_is_planned_with_those_whose_fits_it_needs(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = {
        "fig02": {"title": "Shift", "runs": ["trunk", "fork"]},
        "fig03": {"title": "Law", "runs": ["trunk"]},
        "fig04": {"title": "Surface", "curves": "none", "needs": ["fig02"]},
        "fig08": {"title": "Best", "curves": "none", "needs": ["fig04", "fig08"]},
    }
    (world / "config/experiments.yaml").write_text(json.dumps({**EXPERIMENTS, "figures": figures}))
    planned = {}
    for figure in figures:
        assert main(["plan", "--figure", figure, "--json"]) == 0
        planned[figure] = json.loads(capsys.readouterr().out)["branches"]
    assert planned == {"fig02": 2, "fig03": 1, "fig04": 2, "fig08": 2}
    assert main(["plan", "--figure", "fig99"]) == 2
    assert "no figure 'fig99'" in capsys.readouterr().err


def test_plan_as_json_adds_estimates_at_the_end(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == [*OLD_TOTALS, "estimate", "corpora"]
    assert all(list(row) == [*OLD_ROWS, "estimate"] for row in found["list"])
    for key in ("tokens", "flops", "device_hours", "disk_bytes"):
        assert found["estimate"][key] == pytest.approx(sum(row["estimate"][key] for row in found["list"]))
    assert found["tokens"] == found["estimate"]["tokens"]
    assert [use["name"] for use in found["corpora"]] == ["prose", "lists", "rules"]


def test_the_estimates_need_no_torch() -> None:
    code = "import sys, cpt_dynamics.cli.plan, cpt_dynamics.experiments.estimates; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0
