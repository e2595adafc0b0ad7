"""What makes training fast changes nothing that is measured."""

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters
from transformers import LlamaForCausalLM

from cpt_dynamics import experiments
from cpt_dynamics.config import Batch, Config, Device, Model
from cpt_dynamics.corpora import batches
from cpt_dynamics.corpora.tokens import Tokens
from cpt_dynamics.errors import UserError
from cpt_dynamics.training import device, distributed
from cpt_dynamics.training.evaluation import ValidationSet
from cpt_dynamics.training.loop import Rows
from cpt_dynamics.training.model import TokenLoss, build
from cpt_dynamics.training.text import Text

SIZE = Batch(sequences=6, length=8)
SHAPE = Model(layers=2, width=32, heads=2, feedforward=64)


def small() -> LlamaForCausalLM:
    return build(SHAPE, 90, SIZE, 0)


def random_batch(sequences: int = 6, length: int = 8) -> Tensor:
    return torch.randint(90, (sequences, length + 1), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("entry", ["<u2", "<u4"])
def test_text_that_the_device_holds_gives_the_same_batches(entry: str) -> None:
    ids = np.random.default_rng(0).integers(0, 2**16, 200)
    streams = {name: Tokens.in_memory(ids[:size].astype(entry)) for name, size in (("a", 200), ("b", 83), ("c", 40))}
    held, files = Text(streams, "cpu", resident=True), Text(streams, "cpu")
    assert not files.resident  # a CPU reads the mapped files
    for mixture in ({"a": 1.0}, {"a": 0.25, "b": 0.75}, {"b": 0.1, "a": 0.0, "c": 0.9}):
        for step in range(1, 12):
            expected = batches.batch(streams, mixture, step, SIZE.sequences, SIZE.length, 3)
            for text in (held, files):
                found = text.batch(mixture, step, SIZE, 3)
                assert found.dtype == torch.int64
                assert np.array_equal(found.numpy(), expected)


def test_a_gpu_holds_text_that_leaves_it_most_of_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    class Properties:
        total_memory = 3200

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: Properties)
    for count, fits in ((100, True), (101, False)):  # an eighth of the memory, at four bytes a token
        assert Text({"a": Tokens.in_memory(np.zeros(count, "<u2"))}, "cuda").resident is fits


def test_compiled_attention_is_causal_without_a_mask() -> None:
    calls: list[dict[str, Any]] = []

    def look(graph: torch.fx.GraphModule, _: Any) -> Any:
        calls.extend(dict(node.kwargs) for node in graph.graph.nodes if "scaled_dot_product" in str(node.target))
        return graph.forward

    model = small()
    compiled = torch.compile(TokenLoss(model, "bfloat16"), dynamic=False, backend=look)
    compiled(random_batch())
    assert [(call["attn_mask"], call["is_causal"]) for call in calls] == [(None, True)] * SHAPE.layers
    # The mask that transformers makes says the same.
    loss = TokenLoss(model, "float32")(random_batch())
    model.set_attn_implementation("eager")
    assert TokenLoss(model, "float32")(random_batch()).item() == pytest.approx(loss.item(), rel=1e-6)


def test_no_token_sees_those_after_it() -> None:
    model, rows = small(), random_batch()
    changed = rows.clone()
    changed[:, 5] = (changed[:, 5] + 1) % 90
    with torch.no_grad():
        before, after = (model(input_ids=ids).logits for ids in (rows, changed))
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.equal(before[:, 5:], after[:, 5:])


def test_every_shape_is_compiled_however_many_there_are() -> None:
    from torch._dynamo import config as dynamo

    was = torch.are_deterministic_algorithms_enabled()
    # Not monkeypatch: it deletes what it cannot find in the module's dictionary, and torch then has no such setting.
    with dynamo.patch(recompile_limit=8, fail_on_recompile_limit_hit=False):
        device.prepare(device.Numerics("cpu", "float32", True, torch.get_num_threads()))
        try:
            torch._dynamo.reset()
            counters.clear()
            compiled = torch.compile(TokenLoss(small(), "float32"), dynamic=False, backend="eager")
            for sequences in range(1, 13):
                compiled(random_batch(sequences))
            assert counters["stats"]["unique_graphs"] == 12
        finally:
            torch.use_deterministic_algorithms(was)
            torch._dynamo.reset()


def test_a_second_branch_takes_what_the_first_has_compiled() -> None:
    def train(base: float) -> None:
        model = build(SHAPE, 90, SIZE.model_copy(update={"rope_base": base}), 0)
        loss = torch.compile(TokenLoss(model, "float32"), dynamic=False, backend="eager")
        loss(random_batch()).backward()
        with torch.no_grad():
            loss(random_batch())

    torch._dynamo.reset()
    counters.clear()
    train(10000.0)
    graphs = counters["stats"]["unique_graphs"]
    assert graphs == 2  # one with gradients and one without
    for base in (10000.0, 500.0):
        gc.collect()  # the model of the branch before is gone
        train(base)
    assert counters["stats"]["unique_graphs"] == graphs
    torch._dynamo.reset()


def test_losses_are_read_when_they_are_needed(tiny: Config) -> None:
    class Late:
        read = 0

        def tolist(self) -> list[float]:
            self.read += 1
            return [2.0]

    run = next(iter(experiments.load(tiny).runs.values()))
    rows, late = Rows(Path("rows.json")), Late()
    rows.add(run, 3, late, [ValidationSet("prose", [], 4.0)])  # type: ignore[arg-type]
    assert late.read == 0
    table = rows.table()
    assert late.read == 1
    assert table.to_dict("records") == [
        {
            "step": 3,
            "lr": run.lr[2],
            "tokens": run.tokens(3),
            "validation": "prose",
            "loss": 2.0,
            "bits_per_byte": pytest.approx(2 / np.log(2) / 4),
        }
    ]


def test_cuda_graphs_need_a_gpu() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UserError, match=r"device\.compile is graphs, which needs a CUDA GPU: set it to auto"):
        device.resolve(Device(compile="graphs"))


def test_cuda_graphs_take_a_batch_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device.resolve(Device(compile="graphs")).graphs
    for parts in ({"micro_batch": 4}, {"processes": 2}):
        with pytest.raises(UserError, match=r"takes a batch as a whole in one process: set it to auto"):
            device.resolve(Device.model_validate({"compile": "graphs", **parts}))


def test_cuda_graphs_are_asked_of_torch_and_named_in_manifests(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def record(module: TokenLoss, **options: Any) -> TokenLoss:
        asked.append(options)
        return module

    monkeypatch.setattr(torch, "compile", record)
    numerics = device.Numerics("cpu", "float32", True, 1, graphs=True)
    assert numerics.describe()["graphs"] is True
    assert "graphs" not in device.Numerics("cpu", "float32", True, 1).describe()
    distributed.place(TokenLoss(small(), "float32"), numerics, compiled=True)
    distributed.place(TokenLoss(small(), "float32"), device.Numerics("cpu", "float32", True, 1), compiled=True)
    assert [options["mode"] for options in asked] == ["reduce-overhead", None]
