"""Training speed beside Hugging Face Trainer: same model, batch, precision, threads and machine, in turn."""

import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import Trainer as HuggingFaceTrainer
from transformers import TrainerCallback, TrainingArguments

from cpt_dynamics.config import Config
from cpt_dynamics.corpora import batches
from cpt_dynamics.corpora.tokens import Tokens
from cpt_dynamics.training import device
from cpt_dynamics.training.loop import Step
from cpt_dynamics.training.model import starting

SKIPPED = 10  # steps of each round that warm up: compilation, allocation, caches


def compare(config: Config, model: str, steps: int, rounds: int) -> dict[str, Any]:
    """Tokens per second of the kit and of Hugging Face Trainer, in alternating rounds on the same work.

    All train the same model on the same random tokens with AdamW, clipping and the same batch; the kit also
    picks each batch from its token file, sets the LR of every step and keeps the losses. The kit runs as its
    configuration says (compiled where that is possible), Trainer once as it comes (eager) and once with
    `torch_compile` and the fused optimizer; `ratio_eager` and `ratio_compiled` are the kit's speed over these.
    `ratio_both_eager` compares both without compilation. The speed of a round is that of its median step, and a
    ratio is that of the medians over rounds. Trainer predicts one token fewer per sequence.
    """
    numerics = device.resolve(config.device)
    device.prepare(numerics)
    tokens = config.batch.sequences * config.batch.length
    vocabulary = config.tokenizer.vocabulary
    ids = np.random.default_rng(0).integers(1, vocabulary, 200_000, dtype=np.uint32)
    streams = {"random": Tokens(ids, {"sha256": "", "vocabulary": vocabulary})}
    sides: dict[str, Callable[[], float]] = {
        "kit": lambda: _kit(config, model, streams, vocabulary, numerics, numerics.compile, steps),
        "kit_eager": lambda: _kit(config, model, streams, vocabulary, numerics, False, steps),
        "trainer_eager": lambda: _trainer(config, model, ids, vocabulary, numerics, False, steps),
        "trainer_compiled": lambda: _trainer(config, model, ids, vocabulary, numerics, True, steps),
    }
    if not numerics.compile:
        del sides["trainer_compiled"], sides["kit_eager"]
    speeds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, seconds in sides.items():
            speeds[side].append(tokens / seconds())
    medians = {side: statistics.median(found) for side, found in speeds.items()}
    result: dict[str, Any] = {"ratio_eager": round(medians["kit"] / medians["trainer_eager"], 3)}
    if numerics.compile:
        result["ratio_compiled"] = round(medians["kit"] / medians["trainer_compiled"], 3)
        result["ratio_both_eager"] = round(medians["kit_eager"] / medians["trainer_eager"], 3)
    for side, found in speeds.items():
        result[side] = {"tokens_per_second": round(medians[side]), "rounds": [round(speed) for speed in found]}
    shape = {"model": model, "batch_tokens": tokens, "steps": steps, "rounds": rounds}
    return {**result, **shape, "numerics": numerics.describe()}


def _kit(
    config: Config,
    model: str,
    streams: dict[str, Tokens],
    vocabulary: int,
    numerics: device.Numerics,
    compiled: bool,
    steps: int,
) -> float:
    """Seconds of the median step of the kit's loop."""
    step = Step(starting(config, model, vocabulary, config.batch, 0), config, numerics, compiled)
    size = (config.batch.sequences, config.batch.length)

    def one(number: int) -> None:
        rows = batches.batch(streams, {"random": 1.0}, number, *size, 0)
        step(torch.from_numpy(rows).to(numerics.device), 1e-3, number)

    return _median(one, steps)


def _median(call: Callable[[int], Any], steps: int) -> float:
    times = []
    for number in range(1, SKIPPED + steps + 1):
        began = time.perf_counter()
        call(number)
        times.append(time.perf_counter() - began)
    return statistics.median(times[SKIPPED:])


class _Sequences(Dataset[dict[str, Any]]):
    def __init__(self, ids: np.ndarray, length: int) -> None:
        self.rows = torch.from_numpy(ids[: len(ids) // length * length].astype(np.int64).reshape(-1, length))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": self.rows[index], "labels": self.rows[index]}


class _Clock(TrainerCallback):
    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.times.append(time.perf_counter())


def _trainer(
    config: Config,
    model: str,
    ids: np.ndarray,
    vocabulary: int,
    numerics: device.Numerics,
    compiled: bool,
    steps: int,
) -> float:
    """Seconds of the median step of Hugging Face Trainer."""
    spec, clock = config.optimizer, _Clock()
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {"torch_compile": True, "optim": "adamw_torch_fused"} if compiled else {}
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=SKIPPED + steps,
            per_device_train_batch_size=config.batch.sequences,
            learning_rate=1e-3,
            lr_scheduler_type="constant",
            adam_beta1=spec.beta1,
            adam_beta2=spec.beta2,
            weight_decay=spec.weight_decay,
            max_grad_norm=spec.clip,
            bf16=numerics.precision == "bfloat16",
            use_cpu=numerics.device == "cpu",
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            **options,
        )
        HuggingFaceTrainer(
            model=starting(config, model, vocabulary, config.batch, 0),
            args=arguments,
            train_dataset=_Sequences(ids, config.batch.length),
            callbacks=[clock],
        ).train()
    return statistics.median(np.diff(clock.times)[SKIPPED:])
