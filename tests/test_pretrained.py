"""Models made elsewhere: loaded whole or refused, trained exactly, measured from before their first step."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)
from worlds import REPOSITORY
from worlds.tiny import TINY
from worlds.workflow import copy, copy_parts, idle, jobs, snakemake

from cpt_dynamics import config as configuration
from cpt_dynamics import curves, experiments
from cpt_dynamics.areas import areas
from cpt_dynamics.cli import main
from cpt_dynamics.config import Config, PretrainedModel
from cpt_dynamics.corpora import tokenizer, tokens
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Plan
from cpt_dynamics.experiments.models import weights_digest
from cpt_dynamics.files import read_json
from cpt_dynamics.layout import Layout
from cpt_dynamics.training import branch as training
from cpt_dynamics.training import device, pretrained
from cpt_dynamics.training.checkpoints import Store
from cpt_dynamics.training.loop import Step
from cpt_dynamics.training.model import TokenLoss, initial, made_here, non_embedding_parameters, set_rope

VOCABULARY = 300
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHAPES: dict[str, Callable[[], PreTrainedModel]] = {
    "llama": lambda: LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY + 20,  # rows to spare, as published models have
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            intermediate_size=32,
            max_position_embeddings=64,
            initializer_range=0.3,  # so that positions matter
            rope_parameters={"rope_type": "default", "rope_theta": 5e5},
            tie_word_embeddings=False,
        )
    ),
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY, n_positions=32, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
        )
    ),
    "qwen2": lambda: Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=VOCABULARY,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            intermediate_size=32,
            max_position_embeddings=64,
            tie_word_embeddings=True,
        )
    ),
}


def make(folder: Path, shape: str = "llama", seed: int = 5) -> Path:
    """A folder with a model."""
    torch.manual_seed(seed)
    SHAPES[shape]().save_pretrained(folder)
    return folder


def cpt(steps: int, **more: Any) -> dict[str, Any]:
    phase = {"phase": "continual", "data": {"strong": 0.75, "general": 0.25}, "steps": steps}
    return {"phases": [{**phase, "schedule": {"shape": "wsd", "decay_share": 0.25}, **more}]}


def write(world: Path, runs: dict[str, Any], **over: Any) -> None:
    figure = {"title": "Open", "runs": [name for name in runs if name != "long"] or list(runs)}
    figure |= {"heldout": ["long"]} if "long" in runs and len(runs) > 1 else {}
    raw = {**TINY, "tokenizer": {"pretrained": "given"}, "models": {"open": {"pretrained": "given"}}, **over}
    (world / "config/config.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    stated = {"runs": runs, "figures": {"fig18": figure}}
    (world / "config/experiments.yaml").write_text(yaml.safe_dump(stated, sort_keys=False))


def tokenise(*configfiles: str) -> None:
    more = ["--configfile", *configfiles] if configfiles else []
    for name in TINY["corpora"]:
        assert main(["documents", name, *more]) == 0
        assert main(["split", name, *more]) == 0
    assert main(["tokenizer", *more]) == 0
    for name in TINY["corpora"]:
        assert main(["tokens", name, *more]) == 0


def own_tokenizer(world: Path, folder: Path) -> None:
    """tokenizer.json of the model, trained on some of the text of the world."""
    texts = [json.loads(line)["text"] for line in (world / "text/prose.jsonl").read_text().splitlines()]
    pd.DataFrame({"id": [str(i) for i in range(len(texts))], "text": texts}).to_parquet(world / "sample.parquet")
    settings = configuration.Tokenizer(vocabulary=VOCABULARY, megabytes=0.05, shares={"general": 1.0})
    tokenizer.train(settings, {"general": world / "sample.parquet"}, folder / "tokenizer.json")


@pytest.fixture
def opened(world: Path) -> Callable[..., Config]:
    """Make the world's model of a given shape and the text tokenised for it; returns the configuration."""

    def prepared(shape: str = "llama", runs: dict[str, Any] | None = None, **over: Any) -> Config:
        make(world / "given", shape)
        own_tokenizer(world, world / "given")
        write(world, runs or {"long": cpt(16), "short": cpt(12)}, **over)
        tokenise()
        return configuration.load([])

    return prepared


def planned(config: Config) -> tuple[dict[str, experiments.Run], Plan]:
    runs = experiments.load(config).runs
    return runs, experiments.plan(runs.values(), config)


def manifests(config: Config) -> dict[str, Any]:
    return {m["run"]: m for m in map(read_json, (Layout(config).root / "branches").glob("*.json"))}


def losses(config: Config, run: str) -> pd.DataFrame:
    runs, plan = planned(config)
    from cpt_dynamics.curves.assemble import assemble

    table, _ = assemble([runs[run]], plan, Layout(config))
    return table[["step", "validation", "loss"]].reset_index(drop=True)


def weights(config: Config, run: str, step: int) -> dict[str, torch.Tensor]:
    runs, plan = planned(config)
    trainer = training.open_trainer(plan, config)
    return load_file(trainer.store.path(trainer.key(runs[run], step)) / "state.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def loss_of(folder: Path, config: Config, corpus: str) -> float:
    """The loss on the validation text as transformers computes it, from the token file."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    held_out, length = tokens.open(Layout(config).tokens(corpus, "validation")), config.batch.length
    rows = min(config.evaluation.tokens // length, held_out.sequences(length)) // config.batch.sequences
    chosen = held_out.spread(rows * config.batch.sequences, length)
    ids = np.stack([held_out.ids[row * length : (row + 1) * length + 1] for row in chosen]).astype(np.int64)
    batch = torch.from_numpy(ids)
    with torch.no_grad():
        return float(model(input_ids=batch, labels=batch).loss)


# --- training --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_two_cpt_runs_from_the_plan_to_the_features(opened: Callable[..., Config], shape: str) -> None:
    config = opened(shape)
    assert main(["train", "--plan"]) == 0
    assert main(["curves", "fig18"]) == 0
    _, plan = planned(config)
    assert plan.steps_trained < 16 + 12  # the start is shared
    done = manifests(config)
    assert done["short"]["started_from_step"] == 9  # 2 of re-warm-up, 7 at the peak, then its decay of 3

    start = done["long"]["initial_losses"]
    assert set(start) == {"prose", "lists", "rules"}
    for corpus, loss in start.items():
        assert loss == pytest.approx(loss_of(Path("given"), config, corpus), rel=1e-5)
    assert "initial_losses" not in done["short"]  # it does not begin at the model

    table, schedules = curves.read_runs(Layout(config).root / "curves", ["short", "long"])
    assert set(table["phase"]) == {"continual"}
    assert (table["step"] == table["phase_step"]).all()
    final = table[table["validation"] == "lists"].groupby("run")["loss"].last()
    assert (final < start["lists"]).all()
    lr = schedules[schedules["run"] == "short"]["lr"].to_numpy()
    np.testing.assert_allclose(lr[:3], [0.005, 0.01, 0.01])  # re-warm-up from zero
    found = curves.features(table, schedules, lambda_=config.law.lambda_)
    assert (found["s1pt"] == 0).all()
    assert (found["s2pt"] == 0).all()
    short = found[found["run"] == "short"].drop_duplicates("step")
    expected = areas(lr, 0, config.law.lambda_, initial_lr=0.0)
    np.testing.assert_allclose(short["s1cpt"], np.cumsum(lr)[short["step"] - 1])
    np.testing.assert_allclose(short["s2cpt"], expected.s2cpt[short["step"] - 1])
    assert expected.s2cpt[0] == -0.005  # a rise is negative annealing


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shared_start_changes_nothing(opened: Callable[..., Config], world: Path, shape: str) -> None:
    config = opened(shape)
    assert main(["train", "--plan"]) == 0
    shared, weights_shared = losses(config, "short"), weights(config, "short", 12)
    write(world, {"short": cpt(12)}, results="alone")
    shutil.copytree(Layout(config).root / "tokens", "alone/tiny/tokens")
    shutil.copy(Layout(config).tokenizer, "alone/tiny")
    alone = configuration.load([])
    assert main(["train", "--plan"]) == 0
    assert manifests(alone)["short"]["started_from_step"] == 0
    kept = losses(alone, "short")
    pd.testing.assert_frame_equal(
        shared[shared["step"].isin(kept["step"]) & (shared["step"] != 9)].reset_index(drop=True),
        kept[kept["step"].isin(shared["step"]) & (kept["step"] != 9)].reset_index(drop=True),
        check_exact=True,
    )
    assert same(weights_shared, weights(alone, "short", 12))


@pytest.mark.parametrize("shape", ["gpt2", "llama"])
def test_a_stopped_run_goes_on_exactly(
    opened: Callable[..., Config], world: Path, monkeypatch: pytest.MonkeyPatch, shape: str
) -> None:
    config = opened(shape, {"long": cpt(16)})
    saved = Store.save

    def stop(store: Store, key: str, step: int, *state: Any) -> None:
        saved(store, key, step, *state)
        if step == 12:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "save", stop)
        assert main(["train", "--plan"]) == 130
    assert main(["train", "--plan"]) == 0
    stopped, resumed, state = manifests(config)["long"], losses(config, "long"), weights(config, "long", 16)
    assert stopped["started_from_step"] == 12
    shutil.rmtree(Layout(config).root / "checkpoints")
    shutil.rmtree(Layout(config).root / "branches")
    assert main(["train", "--plan"]) == 0
    assert manifests(config)["long"]["initial_losses"] == stopped["initial_losses"]
    pd.testing.assert_frame_equal(resumed, losses(config, "long"), check_exact=True)
    assert same(state, weights(config, "long", 16))


@pytest.mark.slow
def test_a_killed_run_goes_on_exactly(opened: Callable[..., Config], world: Path) -> None:
    config = opened("gpt2", {"long": cpt(600)}, checkpoint_every=20)
    _, plan = planned(config)
    command = [sys.executable, "-m", "cpt_dynamics", "train", "--branch", next(iter(plan.branches))]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None and len(list(Layout(config).checkpoints.glob("[0-9a-f]*/checkpoint.json"))) < 3:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert main(["train", "--plan"]) == 0
    killed, resumed, state = manifests(config)["long"], losses(config, "long"), weights(config, "long", 600)
    assert killed["started_from_step"] > 0
    shutil.rmtree(Layout(config).root / "checkpoints")
    shutil.rmtree(Layout(config).root / "branches")
    assert main(["train", "--plan"]) == 0
    assert manifests(config)["long"]["initial_losses"] == killed["initial_losses"]
    pd.testing.assert_frame_equal(resumed, losses(config, "long"), check_exact=True)
    assert same(state, weights(config, "long", 600))


@pytest.mark.slow
def test_a_compiled_run_has_the_losses_of_an_eager_one(opened: Callable[..., Config], world: Path) -> None:
    if missing := device.missing_for_compilation():
        pytest.skip(missing)
    config = opened("gpt2", {"long": cpt(16)})
    assert main(["train", "--plan"]) == 0
    (world / "compiled.yaml").write_text("{results: compiled, device: {compile: 'on'}}")
    compiled = configuration.load(["compiled.yaml"])
    shutil.copytree(Layout(config).root / "tokens", Layout(compiled).root / "tokens")
    shutil.copy(Layout(config).tokenizer, Layout(compiled).tokenizer)
    assert main(["train", "--plan", "--configfile", "compiled.yaml"]) == 0
    pd.testing.assert_frame_equal(losses(config, "long"), losses(compiled, "long"), rtol=1e-4)


def test_dropout_is_off(opened: Callable[..., Config]) -> None:
    config = opened("gpt2")
    runs, plan = planned(config)
    trainer = training.open_trainer(plan, config)
    model = initial(config, runs["long"], trainer.vocabulary)
    assert model.config.resid_pdrop > 0
    step = Step(model, config, trainer.numerics, False)
    batch = trainer._batch(runs["long"], 1)
    assert step.token_loss(batch).item() == step.token_loss(batch).item()


def test_weights_in_a_folder_name_checkpoints_and_branches(
    opened: Callable[..., Config], world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = opened("llama", {"long": cpt(8)})
    runs, plan = planned(config)
    assert main(["train", "--plan"]) == 0
    before = training.open_trainer(plan, config).key(runs["long"], 8)
    former = manifests(config)["long"]
    capsys.readouterr()
    assert main(["train", "--plan"]) == 0
    assert "done before" in capsys.readouterr().out
    make(world / "given", seed=6)
    assert training.open_trainer(plan, config).key(runs["long"], 8) != before
    assert main(["train", "--plan"]) == 0
    trained = manifests(config)["long"]
    assert trained["steps_trained"] == 8
    assert trained["initial_losses"] != former["initial_losses"]
    assert trained["weights"] != former["weights"]


def test_the_digest_of_weights_covers_what_decides_the_model(world: Path) -> None:
    spec = PretrainedModel(pretrained=str(make(world / "given")))
    first = weights_digest(spec)
    (world / "given/README.md").write_text("about")
    assert weights_digest(spec) == first
    shape = json.loads((world / "given/config.json").read_text())
    (world / "given/config.json").write_text(json.dumps({**shape, "rms_norm_eps": 1e-5}))
    second = weights_digest(spec)
    (world / "given/modeling.py").write_text("scale = 2")
    assert len({first, second, weights_digest(spec)}) == 3
    assert weights_digest(PretrainedModel(pretrained=f"owner/name@{COMMIT}")) is None
    assert weights_digest(configuration.Model(layers=1, width=8, heads=1, feedforward=8)) is None


def test_an_estimate_of_the_parameters_is_no_part_of_a_branch(world: Path) -> None:
    write(world, {"long": cpt(8)})
    first = list(planned(configuration.load([]))[1].branches)
    write(world, {"long": cpt(8)}, models={"open": {"pretrained": "given", "parameters": 1000}})
    assert list(planned(configuration.load([]))[1].branches) == first


@pytest.mark.parametrize("shape", SHAPES)
def test_an_exported_checkpoint_is_a_model_of_its_own_kind(opened: Callable[..., Config], shape: str) -> None:
    config = opened(shape, {"long": cpt(8)})
    # the tokenizer's other files must not get lost
    AutoTokenizer.from_pretrained("given", eos_token="<|endoftext|>", model_max_length=77).save_pretrained("given")
    assert main(["train", "--plan"]) == 0
    assert main(["export", "long", "exported"]) == 0
    model = AutoModelForCausalLM.from_pretrained("exported")
    assert type(model) is type(SHAPES[shape]())
    table = losses(config, "long")
    measured = table[(table["step"] == 8) & (table["validation"] == "lists")]["loss"].item()
    assert loss_of(Path("exported"), config, "lists") == pytest.approx(measured, rel=1e-5)
    again = AutoTokenizer.from_pretrained("exported")
    assert again.model_max_length == 77
    assert again.get_vocab() == tokenizer.load("given/tokenizer.json").get_vocab()


def test_a_model_without_a_tokenizer_is_exported_with_the_scale_s(
    opened: Callable[..., Config], world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = opened("llama", {"long": cpt(8)})
    (world / "given/tokenizer.json").unlink()
    assert main(["train", "--plan"]) == 0
    assert "no tokenizer.json to compare" in capsys.readouterr().out
    assert main(["export", "long", "exported"]) == 0
    again = AutoTokenizer.from_pretrained("exported")
    assert again.get_vocab() == tokenizer.load(Layout(config).tokenizer).get_vocab()
    assert again.eos_token == "<|endoftext|>"


# --- phases ----------------------------------------------------------------------------------------------------


def test_pre_training_that_goes_on_counts_as_pre_training(world: Path) -> None:
    phases = [{**cpt(12)["phases"][0], "phase": "pretraining", "data": {"general": 1}}, *cpt(12)["phases"]]
    write(world, {"more": {"phases": phases}})
    run = experiments.load(configuration.load([])).runs["more"]
    np.testing.assert_allclose(run.lr[:5], [0.0025, 0.005, 0.0075, 0.01, 0.01])  # warm-up of 4 steps
    assert [phase.phase for phase in run.phases] == ["pretraining", "continual"]


def test_the_last_lr_is_not_known_before_the_first_phase(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(world, {"long": cpt(8, schedule={"shape": "constant", "peak": "last"})})
    assert main(["plan"]) == 2
    assert "runs.long.phases[0]: schedule.peak is `last`, but no phase comes before" in capsys.readouterr().err


def test_a_pretrained_model_needs_its_tokenizer(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(world, {"long": cpt(8)}, tokenizer={"vocabulary": 300})
    assert main(["plan"]) == 2
    assert "set tokenizer.pretrained to given" in capsys.readouterr().err


# --- architectures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_parameters_without_embeddings(world: Path, shape: str) -> None:
    model = pretrained.load("open", PretrainedModel(pretrained=str(make(world / "given", shape))))
    names = [name for name, _ in model.named_parameters()]
    counted = {
        name: p.numel() for name, p in model.named_parameters() if not re.search(r"embed_tokens|wte|lm_head", name)
    }
    assert non_embedding_parameters(model) == sum(counted.values())
    assert ("lm_head.weight" in names) == (shape == "llama")  # the one whose embeddings are not tied


def test_a_pretrained_llama_keeps_its_rotary_encoding(world: Path) -> None:
    model = pretrained.load("open", PretrainedModel(pretrained=str(make(world / "given"))))
    assert isinstance(model, LlamaForCausalLM)
    assert not made_here(model)
    before = model.model.rotary_emb.inv_freq.clone()
    set_rope(model, 10_000.0)
    assert torch.equal(model.model.rotary_emb.inv_freq, before)
    assert before[1] == pytest.approx(5e5 ** (-1 / 4))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_loss_is_that_of_the_model(world: Path, shape: str) -> None:
    model = pretrained.load("open", PretrainedModel(pretrained=str(make(world / "given", shape))))
    batch = torch.randint(0, VOCABULARY, (3, 17), generator=torch.Generator().manual_seed(0))
    expected = model(input_ids=batch, labels=batch).loss
    torch.testing.assert_close(TokenLoss(model, "float32")(batch), expected)


# --- what is refused -------------------------------------------------------------------------------------------


def edit_config(folder: Path, **values: Any) -> None:
    stated = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**stated, **values}))


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def headless(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    del state["lm_head.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def with_code(folder: Path) -> None:
    edit_config(folder, model_type="mine", auto_map={"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"})
    (folder / "code.py").write_text(
        "from transformers import LlamaConfig, LlamaForCausalLM\n"
        "class C(LlamaConfig):\n    model_type = 'mine'\n"
        "class M(LlamaForCausalLM):\n    config_class = C\n"
    )


BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "pickled": (pickled, "pickled weights are not read"),
    "headless": (headless, "no weights of the right shape for lm_head.weight .1 in all., which would start at random"),
    "other shape": (lambda f: edit_config(f, intermediate_size=48), r"right shape for \S+ .6 in all."),
    "with code": (with_code, "set trust_remote_code to true"),
    "quantised": (lambda f: edit_config(f, quantization_config={"quant_method": "fp8"}), "is quantised"),
    "unknown": (lambda f: edit_config(f, model_type="unheard"), "cannot be loaded: .*`unheard`"),
    "no config": (lambda f: (f / "config.json").unlink(), "cannot be loaded"),
    "damaged config": (lambda f: (f / "config.json").write_text("{"), "cannot be loaded: .*not a valid JSON"),
    "encoder": (
        lambda f: BertModel(
            BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
        ).save_pretrained(f),
        "which would start at random",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_folder_that_is_no_whole_model_is_refused(world: Path, case: str) -> None:
    breaking, text = BROKEN[case]
    breaking(make(world / "given"))
    with pytest.raises(UserError, match=text) as caught:
        pretrained.load("open", PretrainedModel(pretrained="given"))
    assert str(caught.value).startswith("models.open: ")
    assert "\n" not in str(caught.value)


def test_weights_that_were_cut_anywhere_are_refused(world: Path) -> None:
    file = make(world / "given") / "model.safetensors"
    whole = file.read_bytes()
    for size in np.random.default_rng(0).integers(0, len(whole), 6):
        file.write_bytes(whole[:size])
        with pytest.raises(UserError, match=r"models\.open: the weights in given are damaged"):
            pretrained.load("open", PretrainedModel(pretrained="given"))


def test_code_of_the_model_runs_where_it_is_trusted(world: Path) -> None:
    with_code(make(world / "given"))
    model = pretrained.load("open", PretrainedModel(pretrained="given", trust_remote_code=True))
    assert type(model).__name__ == "M"
    assert not made_here(model)


@pytest.mark.parametrize("name", ["owner/name", "owner/name@main", "nowhere", f"name@{COMMIT[:12]}", "/no/where"])
def test_a_name_on_the_hub_needs_a_commit(name: str) -> None:
    with pytest.raises(UserError, match=r"models\.open\.pretrained: .* no folder here.*`cpt-dynamics corpora pin`"):
        pretrained.load("open", PretrainedModel(pretrained=name))


@pytest.fixture
def cache(world: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a folder into the cache of the Hub's client, as `owner/<folder>` at COMMIT."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(world / "cache"))

    def put(name: str) -> None:
        shutil.copytree(world / name, world / f"cache/models--owner--{name}/snapshots/{COMMIT}")

    return put


def test_a_commit_of_the_hub_is_read_from_the_cache(
    opened: Callable[..., Config], world: Path, cache: Callable[[str], None]
) -> None:
    opened("gpt2", {"long": cpt(8)})
    cache("given")
    shutil.rmtree(world / "given")
    name = f"owner/given@{COMMIT}"
    write(world, {"long": cpt(8)}, models={"open": {"pretrained": name}}, tokenizer={"pretrained": name})
    assert main(["tokenizer"]) == 0
    assert main(["train", "--plan"]) == 0
    assert main(["export", "long", "exported"]) == 0
    assert isinstance(AutoModelForCausalLM.from_pretrained("exported"), GPT2LMHeadModel)
    assert manifests(configuration.load([]))["long"]["weights"] is None  # the configuration names the commit


def test_what_is_not_in_the_cache_is_said(world: Path, cache: Callable[[str], None]) -> None:
    with pytest.raises(UserError, match=f"owner/given at {COMMIT}, neither in the cache nor on the Hub, cannot be"):
        pretrained.load("open", PretrainedModel(pretrained=f"owner/given@{COMMIT}"))
    pickled(make(world / "given"))
    cache("given")
    with pytest.raises(UserError, match=r"has no model\.safetensors in the cache, and none came from the Hub"):
        pretrained.load("open", PretrainedModel(pretrained=f"owner/given@{COMMIT}"))


def test_tokens_of_another_tokenizer_are_refused(opened: Callable[..., Config], world: Path) -> None:
    config = opened()
    runs, _ = planned(config)
    spec = config.models["open"]
    assert isinstance(spec, PretrainedModel)
    model = pretrained.load("open", spec)
    pretrained.check(model, "open", spec, config, runs["long"], VOCABULARY)
    with pytest.raises(UserError, match="tokens of the scale are of 321 kinds, the model knows 320"):
        pretrained.check(model, "open", spec, config, runs["long"], 321)
    stated = json.loads((world / "given/tokenizer.json").read_text())
    words = stated["model"]["vocab"]
    words["!"], words['"'] = words['"'], words["!"]
    (world / "given/tokenizer.json").write_text(json.dumps(stated))
    with pytest.raises(UserError, match="json is not the tokenizer of the model: set tokenizer"):
        pretrained.check(model, "open", spec, config, runs["long"], VOCABULARY)


def test_sequences_that_are_too_long_are_refused_before_training(
    opened: Callable[..., Config], capsys: pytest.CaptureFixture[str]
) -> None:
    opened("gpt2", {"wide": cpt(8, length_factor=4)})
    assert main(["train", "--plan"]) == 2
    assert "wide has sequences of 64 tokens, the model takes 32 at most" in capsys.readouterr().err


def test_longer_sequences_keep_the_position_encoding(opened: Callable[..., Config]) -> None:
    config = opened("llama", {"wide": {"phases": [*cpt(8)["phases"], *cpt(8, length_factor=2)["phases"]]}})
    assert main(["train", "--plan"]) == 0
    assert main(["export", "wide", "exported"]) == 0
    model = AutoModelForCausalLM.from_pretrained("exported")
    assert model.config.rope_parameters["rope_theta"] == 5e5
    table = losses(config, "wide")
    measured = table[(table["step"] == 16) & (table["validation"] == "lists")]["loss"].item()
    assert loss_of(Path("exported"), config, "lists") == pytest.approx(measured, rel=1e-5)


# --- the page --------------------------------------------------------------------------------------------------


PAGE = (REPOSITORY / "docs/pretrained-models.md").read_text()


def write_example(folder: Path) -> None:
    blocks = re.findall(r"^```yaml\n# (\S+)\n(.*?)^```", PAGE, re.M | re.S)
    assert [name for name, _ in blocks] == ["open.yaml", "open_experiments.yaml"]
    for name, text in blocks:
        (folder / name).write_text(text)
    make(folder / "models/mine", "qwen2")


def test_the_example_of_the_page_runs(world: Path) -> None:
    write_example(world)
    own_tokenizer(world, world / "models/mine")
    smaller = {"batch": TINY["batch"], "lengths": {**TINY["lengths"], "continual": 16, "rewarmup": 2}}
    (world / "smaller.yaml").write_text(yaml.safe_dump(smaller))
    files = ["open.yaml", "smaller.yaml"]
    tokenise(*files)
    assert main(["train", "--plan", "--configfile", *files]) == 0
    assert main(["curves", "fig18", "--configfile", *files]) == 0
    config = configuration.load([*files])
    table, _ = curves.read_runs(Layout(config).root / "curves", experiments.load(config).runs_of("fig18"))
    assert set(table["run"]) == {"short.open", "middle.open", "long.open"}
    (command,) = re.findall(r"^cpt-dynamics (export .*)$", PAGE, re.M)
    assert main([*command.split()[:-1], *files]) == 0
    assert isinstance(AutoModelForCausalLM.from_pretrained("cpt-model"), Qwen2ForCausalLM)


def test_the_workflow_plans_the_example_of_the_page(tmp_path: Path) -> None:
    copy_parts(tmp_path)
    write_example(tmp_path)
    (command,) = re.findall(r"^snakemake --cores all (.*?) +#", PAGE, re.M)
    assert jobs(snakemake(tmp_path, "-n", *command.split()))["train"] == 3


@pytest.mark.slow
def test_the_workflow_trains_new_weights_anew(tmp_path: Path) -> None:
    copy(tmp_path)
    make(tmp_path / "given")
    own_tokenizer(tmp_path, tmp_path / "given")
    write(tmp_path, {"long": cpt(16), "short": cpt(12)})
    done = snakemake(tmp_path, "runs")
    assert done.returncode == 0, done.stderr[-3000:]
    assert idle(snakemake(tmp_path, "-n", "runs"))
    make(tmp_path / "given", seed=6)
    assert jobs(snakemake(tmp_path, "-n", "runs"))["train"] == 2
