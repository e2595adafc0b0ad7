"""The benchmarks run both sides and report what they say; no time is asserted."""

import itertools
import json
import os
import signal
import time
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from transformers import PreTrainedModel, Trainer

from benchmarks import command, fits, training
from benchmarks.together import Timed, together, total_steps
from benchmarks.training import SKIPPED, Clock, Variant, Work
from cpt_dynamics import config as configuration
from cpt_dynamics import laws
from cpt_dynamics.cli import main
from cpt_dynamics.errors import UserError
from cpt_dynamics.training.device import Numerics
from cpt_dynamics.training.loop import Step

REPOSITORY = Path(__file__).parents[1]
ROW = ["tokens_per_second", "rounds", "flops_per_second", "matrix_flops_per_second", "utilisation", "peak_memory_bytes"]


@pytest.fixture
def work(world: Path) -> Work:
    """Three steps a round of the small model."""
    return Work.of(configuration.load([]), "small", 3)


def test_training_is_measured_beside_hugging_face_trainer(world: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "training", "--steps", "2", "--rounds", "2", "--json"]) == 0
    result = json.loads(capfd.readouterr().out)  # what Trainer prints is not among it
    for side in ("kit", "trainer_eager"):
        assert list(result[side]) == ROW
        assert len(result[side]["rounds"]) == 2
        assert min(result[side]["rounds"]) > 0
        assert result[side]["peak_memory_bytes"] is None  # a process on a CPU holds more than one side
        rate = result[side]["flops_per_second"] / result["matrix_flops_per_second"]
        assert result[side]["utilisation"] == pytest.approx(rate, abs=1e-4)
    speeds = [result[side]["tokens_per_second"] for side in ("kit", "trainer_eager")]
    assert result["ratio_eager"] == pytest.approx(speeds[0] / speeds[1], abs=1e-3)
    assert "ratio_compiled" not in result  # the configuration of these tests turns compilation off


def test_utilisation_is_the_rate_of_the_models_operations_over_that_of_a_product(work: Work) -> None:
    layers, width, feedforward, length, vocabulary = 1, 16, 32, 16, 300
    parameters = layers * (4 * width**2 + 3 * width * feedforward + 2 * width) + width
    flops = 3 * (2 * (parameters + vocabulary * width) + 4 * layers * width * length)
    assert work.flops_per_token == flops
    row = training.row(work, [0.5, 0.1, 0.2], 1e7)
    assert row["rounds"] == [128, 640, 320]  # of 4 sequences of 16 tokens
    assert row["tokens_per_second"] == 320
    assert row["flops_per_second"] == 320 * flops
    assert row["utilisation"] == pytest.approx(320 * flops / 1e7, abs=1e-4)


def test_the_rate_of_a_product_is_its_operations_over_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0, 9, 10, 12, 20, 22, 30, 32, 40, 41, 50, 59])  # the first product is not among those that count
    monkeypatch.setattr(training, "now", lambda device: next(times))
    monkeypatch.setitem(training.SIDE, "cpu", 8)
    assert training.matrix_flops("cpu", "bfloat16") == 2 * 8**3 / 2
    assert next(times, None) is None


def test_the_device_is_waited_for_between_blocks_of_steps_only(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    work = replace(work, steps=22)
    ready: list[int] = []
    clock = Clock(work)
    clock.ready = lambda: ready.append(clock.number)
    monkeypatch.setattr(training, "now", lambda device: float(clock.number) ** 2)
    for _ in range(SKIPPED + work.steps):
        clock.tick()
    assert ready == [SKIPPED]
    assert clock.edges == [(step, step**2) for step in (10, 14, 18, 22, 26, 30)]
    assert clock.step() == pytest.approx((22**2 - 18**2) / 4)


def test_both_sides_are_timed_alike(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []

    def now(device: str) -> float:
        looks.append(device)
        return float(len(looks))

    monkeypatch.setattr(training, "now", now)
    assert Variant(work.numerics).seconds(work) == 1
    assert looks == ["cpu"] * (2 + work.steps)
    assert training._trainer(work, "sdpa") == 1
    assert looks == ["cpu"] * 2 * (2 + work.steps)


def test_trainer_leaves_no_other_precision_behind() -> None:
    before = torch.get_float32_matmul_precision()
    with training.precision_kept():
        setattr(torch.backends, "fp32_precision", "tf32")  # noqa: B010  # as Trainer does on a GPU
        torch.compile(lambda values: values + 1, backend="eager")(torch.ones(2))
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    assert torch.backends.cuda.matmul.fp32_precision == "none"
    assert torch.get_float32_matmul_precision() == before


def test_trainer_has_the_precision_of_the_kit(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    products, seen = torch.backends.cuda.matmul, []

    class Rounding(Trainer):
        """As on a GPU, where it rounds the products of a compiled model."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            products.fp32_precision = "tf32"

        def train(self, *_: Any, **__: Any) -> Any:
            seen.append(products.fp32_precision)
            return super().train()

    before = products.fp32_precision
    monkeypatch.setattr(training, "HuggingFaceTrainer", Rounding)
    training._trainer(work, "sdpa")
    training._trainer(replace(work, numerics=replace(work.numerics, precision="bfloat16")), "sdpa")
    assert seen == ["ieee", "tf32"]  # what is left in float32 beside bfloat16 may be rounded
    assert products.fp32_precision == before


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", ["cpu", "cuda"])
def test_a_variant_differs_in_what_it_says(name: str, compiled: bool, work: Work) -> None:
    work = replace(work, numerics=Numerics(name, "bfloat16", compiled, 1))
    expected = {"AdamW not fused": {"fused": False}, "in float32": {"precision": "float32"}}
    if compiled:
        expected |= {"without compilation": {"compile": False}, "attention with a mask": {"masked": True}}
    if name == "cuda":
        expected |= {"text on the host": {"resident": False}, "every loss read at once": {"waiting": True}}
    if compiled and name == "cuda":
        expected |= {"with CUDA graphs": {"graphs": True}}

    def flat(variant: Variant) -> dict[str, Any]:
        values = asdict(variant)
        return {**values.pop("numerics"), **values}

    choices = training.choices(work)
    usual = flat(choices.pop("as configured"))
    assert usual == flat(Variant(work.numerics))
    changed = {label: dict(flat(each).items() - usual.items()) for label, each in choices.items()}
    assert changed == expected
    graphs = replace(work, numerics=replace(work.numerics, graphs=True))
    assert ("without CUDA graphs" in training.choices(graphs)) == (compiled and name == "cuda")


def test_variants_take_the_same_steps(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[Step] = []

    def recorded(*arguments: Any) -> Step:
        steps.append(Step(*arguments))
        return steps[-1]

    monkeypatch.setattr(training, "Step", recorded)
    usual = Variant(work.numerics)
    changes: list[dict[str, Any]] = [{}, {"masked": True}, {"resident": True}, {"fused": False}, {"waiting": True}]
    for change in changes:
        one = replace(usual, **change).stepper(work)
        for number in (1, 2, 3):
            one(number)
    first, *others = [step.losses[1:4].tolist() for step in steps]
    assert first[0] == pytest.approx(np.log(300), rel=0.05)  # of random tokens
    for losses in others:
        assert losses == pytest.approx(first, rel=1e-5)
    assert [step.model.config._attn_implementation for step in steps[:2]] == ["causal", "sdpa"]
    assert [step.optimizer.param_groups[0]["fused"] for step in steps] == [True, True, True, False, True]


def test_no_round_is_begun_that_would_not_end_in_time(
    world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    times = itertools.count(0, 20)  # seconds: two looks a round, and one before the first
    clock = SimpleNamespace(monotonic=lambda: float(next(times)), perf_counter=time.perf_counter)
    for module in (training, command):
        monkeypatch.setattr(module, "time", clock)
    size = ["--steps", "1", "--rounds", "9", "--json"]
    assert main(["bench", "training", *size, "--minutes", "2"]) == 0
    printed = capfd.readouterr()
    result = json.loads(printed.out)
    assert result["rounds"] == len(result["kit"]["rounds"]) == len(result["trainer_eager"]["rounds"]) == 3
    assert "no time for round 4 of 9" in printed.err


def test_a_side_that_fails_leaves_the_others(
    world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any, **__: Any) -> float:
        raise torch.OutOfMemoryError("no memory\nfor this")

    monkeypatch.setattr(training, "_trainer", fail)
    size = ["bench", "training", "--steps", "1", "--rounds", "2"]
    assert main([*size, "--json"]) == 0
    result = json.loads(capfd.readouterr().out)
    assert len(result["kit"]["rounds"]) == 2
    assert result["trainer_eager"] == {"failed": "OutOfMemoryError: no memory for this"}
    assert "ratio_eager" not in result
    assert main(size) == 0
    lines = capfd.readouterr().out.splitlines()
    assert "trainer_eager failed: OutOfMemoryError: no memory for this" in lines
    assert lines[-1].split()[0] == "kit"
    monkeypatch.setattr(Variant, "seconds", fail)
    with pytest.raises(torch.OutOfMemoryError):
        main(size)


def test_variants_are_beside_the_kit_as_configured(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "training", "--variants", "--steps", "1", "--rounds", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    rows = result["variants"]
    assert list(rows) == ["as configured", "AdamW not fused", "in bfloat16"]
    for row in rows.values():
        assert list(row) == [*ROW, "ratio"]
        speeds = [row["tokens_per_second"], rows["as configured"]["tokens_per_second"]]
        assert row["ratio"] == pytest.approx(speeds[0] / speeds[1], abs=1e-3)
    assert "first_step_seconds" not in result  # nothing is compiled


@pytest.mark.slow
def test_compiled_training_is_measured(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = yaml.safe_load((world / "config/config.yaml").read_text())
    settings["device"]["compile"] = "on"
    (world / "config/config.yaml").write_text(yaml.safe_dump(settings))
    size = ["--steps", "1", "--rounds", "1", "--json"]
    assert main(["bench", "training", *size]) == 0
    result = json.loads(capsys.readouterr().out)
    pairs = {
        "eager": ("kit", "trainer_eager"),
        "compiled": ("kit", "trainer_compiled"),
        "both_eager": ("kit_eager", "trainer_eager"),
        "causal": ("kit", "trainer_causal"),
    }
    for name, (ours, theirs) in pairs.items():
        ratio = result[ours]["tokens_per_second"] / result[theirs]["tokens_per_second"]
        assert result[f"ratio_{name}"] == pytest.approx(ratio, abs=1e-3)
    usual = Variant(Numerics("cpu", "float32", True, 1))
    two = {"as configured": usual, "attention with a mask": replace(usual, masked=True)}
    monkeypatch.setattr(training, "choices", lambda work: two)  # all of them take a minute to compile
    assert main(["bench", "training", "--variants", *size]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result["variants"]) == list(two)
    assert list(result["first_step_seconds"]) == ["cold", "warm"]
    assert min(result["first_step_seconds"].values()) > 0


def test_a_profile_names_the_operators_that_take_longest(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "training", "--profile", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    shares = [row["share"] for row in result["profile"].values()]
    assert len(shares) == 10
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= result["busy"] + 1e-3
    assert any(name.startswith("aten::") for name in result["profile"])


def test_a_package_without_its_checkout_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cpt_dynamics.cli.bench.CHECKOUT", tmp_path)
    for words in (["areas"], ["--help"]):
        assert main(["bench", *words]) == 2
        assert capsys.readouterr().err == (
            "error: benchmarks are not installed with the package: install it from a checkout (pip install -e .)\n"
        )


def test_a_table_is_printed_for_people(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "training", "--steps", "1", "--rounds", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("matrix_flops_per_second: ") for line in lines)
    assert lines[-3].split() == ["tokens/s", "FLOP/s", "utilisation", "peak", "memory"]
    assert [line.split()[0] for line in lines[-2:]] == ["kit", "trainer_eager"]
    assert all(line.endswith("not measured") for line in lines[-2:])


def test_processes_are_counted_over_the_time_that_they_share() -> None:
    slow = Timed(1.0, [(10, 2.0), (14, 4.0), (16, 5.0)])  # 2 steps a second
    fast = Timed(1.0, [(10, 1.0), (20, 3.0), (45, 8.0)])  # 5 steps a second
    assert total_steps([fast]) == 5
    assert total_steps([slow, fast]) == pytest.approx(2 + 5)


@pytest.mark.slow
def test_processes_train_at_the_same_time(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "together", "--processes", "2", "--steps", "3", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    one, two = (result["processes"][count] for count in ("1", "2"))  # one is measured in any case
    assert one["rounds"] == [one["tokens_per_second"]] == [one["each"]]
    assert one["each"] > 0
    assert one["ratio"] == 1
    assert two["each"] == pytest.approx(two["tokens_per_second"] / 2, abs=1)
    assert two["ratio"] == pytest.approx(two["tokens_per_second"] / one["tokens_per_second"], abs=1e-3)


class Killed(Work):
    """One of its processes is killed before the first step, as when memory is short."""

    def start(self, attention: str) -> PreTrainedModel:
        try:
            Path("killed").touch(exist_ok=False)
        except FileExistsError:
            return super().start(attention)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class Failing(Killed):
    """One of its processes has not enough memory."""

    def start(self, attention: str) -> PreTrainedModel:
        try:
            Path("killed").touch(exist_ok=False)
        except FileExistsError:
            return super().start(attention)
        raise torch.OutOfMemoryError


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Killed, Failing])
def test_processes_do_not_wait_for_one_that_is_gone(
    kind: type[Work], work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = kind(work.config, work.model, work.steps, work.numerics)
    with pytest.raises(UserError, match="do not fit in memory at once"):
        together(lost, [1, 2], rounds=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["together", "--processes", "1,many"], "--processes is '1,many'"),
        (["together", "--processes", "0"], "--processes is '0'"),
        (["together", "--processes", ""], "--processes is ''"),
        (["together", "--steps", "0"], "--steps is 0"),
        (["together", "--model", "huge"], "there is no model 'huge'"),
        (["training", "--rounds", "0"], "--rounds is 0"),
        (["training", "--minutes", "0"], "--minutes is 0"),
    ],
)
def test_what_cannot_be_trained_is_said(
    arguments: list[str], words: str, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("what", [["training"], ["training", "--variants"], ["training", "--profile"], ["together"]])
def test_a_gpu_that_is_not_there_is_said(what: list[str], world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = yaml.safe_load((world / "config/config.yaml").read_text())
    settings["device"]["name"] = "cuda"
    (world / "config/config.yaml").write_text(yaml.safe_dump(settings))
    assert main(["bench", *what]) == 2
    assert "torch finds no CUDA GPU here" in capsys.readouterr().err


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
    features, loss = fits.synthetic(truth, fits.MOST, 30, seed=1)
    ends = np.column_stack([features[name][29::30] for name in ("s1pt", "s2pt", "s1cpt", "s2cpt")])
    assert len(np.unique(ends.round(9), axis=0)) == fits.MOST
    assert len(np.unique(ends[:, 1].round(9))) == len(fits.PRETRAINING)
    exact = laws.get("cpt").predict(truth, features)
    assert np.log(loss / exact).std() == pytest.approx(fits.NOISE, rel=0.1)


def test_areas_are_timed_and_compared_with_their_definition(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["bench", "areas", "--steps", "1000", "--rounds", "3", "--json"]
    assert main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    assert len(result["rounds"]) == 3
    assert result["milliseconds"] == sorted(result["rounds"])[1]
    assert result["max_relative_difference"] < 1e-12
    defined = fits.defined_momentum
    monkeypatch.setattr(fits, "defined_momentum", lambda rates, lambda_: defined(rates, lambda_) * (1 + 1e-8))
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
