"""Training speed: beside Hugging Face Trainer, and what each technique of the kit gains."""

import contextlib
import gc
import itertools
import math
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity
from torch.utils.data import Dataset
from transformers import PreTrainedModel, TrainerCallback, TrainingArguments
from transformers import Trainer as HuggingFaceTrainer

from cpt_dynamics.config import Config, Model
from cpt_dynamics.corpora.tokens import Tokens
from cpt_dynamics.errors import one_line
from cpt_dynamics.experiments import estimates
from cpt_dynamics.training import device
from cpt_dynamics.training.device import Numerics
from cpt_dynamics.training.loop import CHECK_EVERY, Step
from cpt_dynamics.training.model import CAUSAL, starting
from cpt_dynamics.training.text import Text

SKIPPED = 10  # steps of each round that warm up: compilation, allocation, recording of CUDA graphs
BLOCKS = 5  # of steps in a round
LR = 1e-3
WORKERS = 4  # processes that read batches for Trainer on a GPU, where that is faster than none
SIDE = {"cuda": 8192, "cpu": 2048}  # of the square matrices whose product is timed
PRODUCTS = {"cuda": 50, "cpu": 1}  # of them between two looks at the clock
PROFILED = 10  # steps
SHOWN = 10  # operators of a profile


@dataclass(frozen=True)
class Work:
    """What is trained: the model `models.<model>` of a configuration on random tokens, `steps` measured steps."""

    config: Config
    model: str
    steps: int
    numerics: Numerics

    @classmethod
    def of(cls, config: Config, model: str, steps: int) -> "Work":
        """Raises `UserError` where this machine lacks what `device` asks for, or the size of the model is not known."""
        estimates.size_of(model, config)
        return cls(config, model, steps, device.resolve(config.device))

    @property
    def batch_tokens(self) -> int:
        return self.config.batch.sequences * self.config.batch.length

    @property
    def flops_per_token(self) -> float:
        """Operations of a training step for one token: three times those of the forward pass."""
        return 3 * estimates.size_of(self.model, self.config).flops(self.config.batch.length)

    @property
    def made_here(self) -> bool:
        """Whether the kit initialises the model, and so decides on its attention."""
        return isinstance(self.config.models[self.model], Model)

    @cached_property
    def ids(self) -> np.ndarray:
        """Random tokens, enough that no side reads any twice in a round."""
        vocabulary, count = self.config.tokenizer.vocabulary, (SKIPPED + self.steps) * self.batch_tokens + 1
        return np.random.default_rng(0).integers(1, vocabulary, count, dtype=np.uint32)

    def start(self, attention: str) -> PreTrainedModel:
        """The model before its first step, one of the kit's own with an attention by name (see transformers)."""
        model = starting(self.config, self.model, self.config.tokenizer.vocabulary, self.config.batch, 0)
        if self.made_here:
            model.set_attn_implementation(attention)
        return model

    def describe(self) -> dict[str, Any]:
        shape = {"model": self.model, "batch_tokens": self.batch_tokens, "flops_per_token": self.flops_per_token}
        return {**shape, "steps": self.steps, "numerics": self.numerics.describe()}


class Clock:
    """Times blocks of steps. The device is waited for at the edges of a block and nowhere between.

    The first `SKIPPED` steps belong to no block; `ready` is called when they are done.
    """

    def __init__(self, work: Work, ready: Callable[[], Any] = lambda: None) -> None:
        self.block = max(1, work.steps // BLOCKS)
        self.device = work.numerics.device
        self.ready = ready
        self.number = 0
        self.edges: list[tuple[int, float]] = []  # steps, and seconds (of a clock that all processes here share)

    def tick(self) -> None:
        """A step has been taken; on a GPU it may still be under way."""
        self.number += 1
        if self.number == SKIPPED:
            now(self.device)
            self.ready()
        if self.number >= SKIPPED and (self.number - SKIPPED) % self.block == 0:
            self.mark()

    def mark(self) -> None:
        self.edges.append((self.number, now(self.device)))

    def step(self) -> float:
        """Seconds of a step: the median over the blocks."""
        pairs = itertools.pairwise(self.edges)
        return statistics.median((after - before) / (last - first) for (first, before), (last, after) in pairs)


def now(name: str) -> float:
    """Seconds, when all that was asked of the device is done."""
    if name == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


@dataclass(frozen=True)
class Variant:
    """How the kit trains.

    masked : attention is given the mask that transformers makes, rather than told that it is causal
    resident : whether the device holds the text; None leaves it to the kit
    fused : AdamW as one kernel; otherwise as operations on lists of tensors (`foreach`)
    waiting : the loss of every step is read at once, for which a GPU is waited for
    """

    numerics: Numerics
    masked: bool = False
    resident: bool | None = None
    fused: bool = True
    waiting: bool = False

    def stepper(self, work: Work) -> Callable[[int], None]:
        """What takes step n of a training: the kit's own step, with the batch and the checks of its loop."""
        model = work.start("sdpa" if self.masked else CAUSAL)
        step = Step(model, work.config, self.numerics, self.numerics.compile)
        if not self.fused:
            for group in step.optimizer.param_groups:
                group.update(fused=False, foreach=True)
        streams = {"random": Tokens.in_memory(work.ids, work.config.tokenizer.vocabulary)}
        text = Text(streams, self.numerics.device, self.resident)

        def one(number: int) -> None:
            step(text.batch({"random": 1.0}, number, work.config.batch, 0), LR, number)
            if self.waiting or number % CHECK_EVERY == 0:
                step.not_finite(number)

        return one

    def seconds(self, work: Work) -> float:
        """Of the median step."""
        one, clock = self.stepper(work), Clock(work)
        for number in range(1, SKIPPED + work.steps + 1):
            one(number)
            clock.tick()
        return clock.step()


@dataclass(frozen=True)
class Side:
    """What is measured in turn with others: its precision, and what trains a round and returns seconds of a step."""

    precision: str
    seconds: Callable[[], float]


def compare(work: Work, rounds: int, until: float = math.inf) -> dict[str, Any]:
    """Tokens per second of the kit and of Hugging Face Trainer, in alternating rounds on the same work.

    All train the same model on the same random tokens with AdamW, clipping and the same batch; the kit also
    picks each batch from its tokens, sets the LR of every step and keeps the losses. The kit runs as its
    configuration says (compiled where that is possible), Trainer once as it comes (eager) and once with all that makes
    it fast (see `_expert`); `ratio_eager` and `ratio_compiled` are the kit's speed over these.
    `ratio_both_eager` compares both without compilation, and `ratio_causal` the kit with the fast Trainer of a model
    that has the kit's attention (`trainer_causal`). The speed of a round is that of its median block of steps, and a
    ratio is that of the medians over rounds. Trainer predicts one token fewer per sequence. See `in_turn` for `until`
    and for a side that fails, which has no ratio.
    """
    precision, eager = work.numerics.precision, replace(work.numerics, compile=False, graphs=False)
    sides = {
        "kit": Side(precision, partial(Variant(work.numerics).seconds, work)),
        "trainer_eager": Side(precision, partial(_trainer, work, "sdpa")),
    }
    ratios = {"ratio_eager": ("kit", "trainer_eager")}
    if work.numerics.compile:
        sides["kit_eager"] = Side(precision, partial(Variant(eager).seconds, work))
        sides["trainer_compiled"] = Side(precision, partial(_expert, work, "sdpa"))
        ratios["ratio_compiled"] = ("kit", "trainer_compiled")
        ratios["ratio_both_eager"] = ("kit_eager", "trainer_eager")
    if work.numerics.compile and work.made_here:
        sides["trainer_causal"] = Side(precision, partial(_expert, work, CAUSAL))
        ratios["ratio_causal"] = ("kit", "trainer_causal")
    rows = in_turn(work, sides, rounds, until)
    speed = {side: found["tokens_per_second"] for side, found in rows.items() if "failed" not in found}
    pairs = {name: pair for name, pair in ratios.items() if speed.keys() >= set(pair)}
    return {
        **{name: round(speed[ours] / speed[theirs], 3) for name, (ours, theirs) in pairs.items()},
        **_shared(rows["kit"], work),
        **rows,
    }


def variants(work: Work, rounds: int, until: float = math.inf) -> dict[str, Any]:
    """The speed of the kit as configured, and with one thing changed at a time, in alternating rounds.

    The `ratio` of a row is its speed over that of the first; below 1, the kit is faster as configured.
    """
    sides = {name: Side(one.numerics.precision, partial(one.seconds, work)) for name, one in choices(work).items()}
    rows = in_turn(work, sides, rounds, until)
    base = rows["as configured"]
    for each in rows.values():
        if "failed" not in each:
            each["ratio"] = round(each["tokens_per_second"] / base["tokens_per_second"], 3)
    return {"variants": rows, **_shared(base, work)}


def _shared(usual: dict[str, Any], work: Work) -> dict[str, Any]:
    """What all sides have in common, by the row of the first."""
    matrix = {"matrix_flops_per_second": usual["matrix_flops_per_second"]}
    return {**matrix, **work.describe(), "rounds": len(usual["rounds"])}


def choices(work: Work) -> dict[str, Variant]:
    """What there is to choose for a model on this device; each differs from the first in what it says."""
    usual = Variant(work.numerics)
    gpu, compiled = work.numerics.device == "cuda", work.numerics.compile
    other = "float32" if work.numerics.precision == "bfloat16" else "bfloat16"
    graphs = not work.numerics.graphs
    found = {"as configured": usual}
    if compiled:
        found["without compilation"] = Variant(replace(work.numerics, compile=False, graphs=False))
    if compiled and gpu:
        found[f"with{'' if graphs else 'out'} CUDA graphs"] = Variant(replace(work.numerics, graphs=graphs))
    if compiled and work.made_here:  # an eager model of transformers leaves the mask out by itself
        found["attention with a mask"] = replace(usual, masked=True)
    if gpu:
        found["text on the host"] = replace(usual, resident=False)
        found["every loss read at once"] = replace(usual, waiting=True)
    found["AdamW not fused"] = replace(usual, fused=False)
    found[f"in {other}"] = Variant(replace(work.numerics, precision=other))
    return found


def in_turn(work: Work, sides: Mapping[str, Side], rounds: int, until: float) -> dict[str, dict[str, Any]]:
    """One row a side: medians over rounds, every other one in reverse; says on stderr how it goes.

    No round but the first is begun that would not end before `until` (of `time.monotonic`) if it took as long as the
    longest so far. The row of a side that fails says why (`failed`), and the others go on; the error of the first side,
    with which all are compared, is raised.
    """
    device.prepare(work.numerics)
    rates: dict[str, list[float]] = {side.precision: [] for side in sides.values()}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    memory: dict[str, int | None] = {}
    failed: dict[str, str] = {}
    longest = 0.0
    for number in range(1, rounds + 1):
        began = time.monotonic()
        if number > 1 and began + longest > until:
            print(f"no time for round {number} of {rounds}", file=sys.stderr, flush=True)
            break
        for precision, found in rates.items():
            found.append(matrix_flops(work.numerics.device, precision))
        order = [name for name in sides if name not in failed]
        for name in order if number % 2 else reversed(order):  # else one would always follow the same other
            try:
                taken, memory[name] = _measure(sides[name], work)
            except Exception as error:
                if name == next(iter(sides)):
                    raise
                traceback.print_exc()
                failed[name] = f"{type(error).__name__}: {one_line(error)}"
            else:
                seconds[name].append(taken)
                speed = work.batch_tokens / taken
                print(f"round {number} of {rounds}, {name}: {speed:,.0f} tokens/s", file=sys.stderr, flush=True)
        longest = max(longest, time.monotonic() - began)
    return {
        name: {"failed": failed[name]}
        if name in failed
        else row(work, seconds[name], statistics.median(rates[side.precision])) | {"peak_memory_bytes": memory[name]}
        for name, side in sides.items()
    }


def _measure(side: Side, work: Work) -> tuple[float, int | None]:
    """Seconds of a step in a round of one side, and the most memory that it had on a GPU."""
    _clear()
    before = _allocated(work.numerics.device)
    seconds = side.seconds()
    return seconds, _peak(work.numerics.device, before)


def row(work: Work, seconds: list[float], matrix: float) -> dict[str, Any]:
    """Speeds from the seconds of a step in every round; `matrix` is what `matrix_flops` found."""
    speeds = [work.batch_tokens / each for each in seconds]
    flops = statistics.median(speeds) * work.flops_per_token
    shares = {"matrix_flops_per_second": round(matrix), "utilisation": round(flops / matrix, 4)}
    return {**medians(speeds), "flops_per_second": round(flops), **shares}


def medians(speeds: list[float]) -> dict[str, Any]:
    """Tokens per second, over all rounds and of each."""
    return {"tokens_per_second": round(statistics.median(speeds)), "rounds": [round(speed) for speed in speeds]}


def matrix_flops(name: str, precision: str) -> float:
    """Operations a second of a product of large square matrices of random numbers: the median of `BLOCKS`.

    It is the rate that training could at most have: random numbers, since a GPU may multiply zeros faster, and on a GPU
    many products between two looks at the clock, since its frequency falls under load.
    """
    size, dtype = SIDE[name], getattr(torch, precision)
    left, right = (torch.randn(size, size, device=name).to(dtype) for _ in range(2))
    out = torch.empty_like(left)
    times = []
    for _ in range(1 + BLOCKS):  # the first to warm up
        began = now(name)
        for _ in range(PRODUCTS[name]):
            torch.mm(left, right, out=out)
        times.append(now(name) - began)
    return PRODUCTS[name] * 2.0 * size**3 / statistics.median(times[1:])


def _clear() -> None:
    """Forget the sides before: what they have compiled, and on a GPU what they have allocated."""
    torch.compiler.reset()
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _allocated(name: str) -> int:
    if name != "cuda":
        return 0
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def _peak(name: str, before: int) -> int | None:
    """Most bytes that a GPU had allocated since `_allocated`; what a process on a CPU has is not one side's alone."""
    return torch.cuda.max_memory_allocated() - before if name == "cuda" else None


def profile(work: Work) -> dict[str, Any]:
    """The operators (on a GPU: kernels) in which steps spend most time, with their share of the time of a step.

    `busy` is the share of all of them together; the rest of the time a GPU waits, and a CPU runs Python.
    """
    device.prepare(work.numerics)
    name, one = work.numerics.device, Variant(work.numerics).stepper(work)
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if name == "cuda" else [])]
    for number in range(1, SKIPPED + 1):
        one(number)
    for _ in range(2):  # the profiler itself has to warm up, too
        with torch.profiler.profile(activities=activities) as recorded:
            began = now(name)
            for number in range(1, PROFILED + 1):
                one(number)
            seconds = now(name) - began
    spent = {
        event.key: (event.self_device_time_total if name == "cuda" else event.self_cpu_time_total) / 1e6 / seconds
        for event in recorded.key_averages()
        if event.device_type.name == name.upper() and not event.is_user_annotation
    }
    longest = sorted(spent, key=lambda key: spent[key], reverse=True)[:SHOWN]
    return {
        "profile": {key: {"share": round(spent[key], 4)} for key in longest},
        "busy": round(sum(spent.values()), 4),
        "step_seconds": round(seconds / PROFILED, 6),
        **work.describe(),
        "steps": PROFILED,
    }


class _Sequences(Dataset[dict[str, Any]]):
    def __init__(self, work: Work) -> None:
        self.rows = torch.from_numpy(work.ids[:-1].astype(np.int64).reshape(-1, work.config.batch.length))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": self.rows[index], "labels": self.rows[index]}


class _Ticks(TrainerCallback):
    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.clock.tick()


def _expert(work: Work, attention: str) -> float:
    """Seconds of the median step of Hugging Face Trainer with what its documentation says makes it fast.

    Compiled, fused AdamW, pinned memory, tf32 for what is left in float32 beside bfloat16, no look at every loss
    (`logging_nan_inf_filter`), and on a GPU the faster of batches read by itself and by `WORKERS` processes.
    """
    gpu = work.numerics.device == "cuda"
    fast: dict[str, Any] = {"torch_compile": True, "optim": "adamw_torch_fused", "logging_nan_inf_filter": False}
    if gpu:
        fast |= {"tf32": work.numerics.precision == "bfloat16", "dataloader_pin_memory": True}
    found = []
    for workers in (0, WORKERS) if gpu else (0,):
        _clear()
        reading = {"dataloader_num_workers": workers, "dataloader_persistent_workers": workers > 0}
        found.append(_trainer(work, attention, **fast, **reading))
    return min(found)


def _trainer(work: Work, attention: str, **options: Any) -> float:
    """Seconds of the median step of Hugging Face Trainer."""
    spec, clock = work.config.optimizer, Clock(work)
    with precision_kept(), tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=SKIPPED + work.steps,
            per_device_train_batch_size=work.config.batch.sequences,
            learning_rate=LR,
            lr_scheduler_type="constant",
            adam_beta1=spec.beta1,
            adam_beta2=spec.beta2,
            weight_decay=spec.weight_decay,
            max_grad_norm=spec.clip,
            bf16=work.numerics.precision == "bfloat16",
            use_cpu=work.numerics.device == "cpu",
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            **options,
        )
        trainer = HuggingFaceTrainer(
            model=work.start(attention), args=arguments, train_dataset=_Sequences(work), callbacks=[_Ticks(clock)]
        )
        if work.numerics.precision == "float32":
            # Accelerate lets a GPU round to tf32 whatever is compiled without mixed precision.
            torch.backends.cuda.matmul.fp32_precision = "ieee"
        trainer.train()
    return clock.step()


@contextlib.contextmanager
def precision_kept() -> Iterator[None]:
    """Set the precision of float32 products back, which Trainer sets for the whole process.

    Whatever is compiled meanwhile writes it down for CUDA's products by themselves, too.
    """
    products = torch.backends.cuda.matmul
    before = products.fp32_precision
    try:
        with torch.backends.flags(fp32_precision="none"):
            yield
    finally:
        products.fp32_precision = before
