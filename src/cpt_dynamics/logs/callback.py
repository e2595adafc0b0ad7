"""A callback with which anyone's Hugging Face Trainer writes the kit's curve table."""

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils import logging

from cpt_dynamics import curves
from cpt_dynamics.curves.table import PHASES
from cpt_dynamics.errors import UserError

MEASURED = ["tokens", "loss", "bits_per_byte"]
logger = logging.get_logger(__name__)


class CurveTableCallback(TrainerCallback):
    """Writes the curve table of one run to `path`, and the LR of its steps beside it (`curves.schedules_path`).

    Both are written at every evaluation, every checkpoint and at the end, each whole or not at all. The LR of a step
    is that of the optimizer's first group when the step begins; list the callback after any that sets the LR.
    Validation sets have Trainer's names (`eval_<name>_loss`; "eval" for plain `eval_loss`). Tokens are those that
    Trainer counts (`include_num_input_tokens_seen`), else 0. A loss from before the first step of the run has no
    place in a curve table; one that is not finite and positive is left out with a warning.

    When Trainer resumes from a checkpoint after step k, what the files hold up to k is kept and continued. A training
    that begins anew replaces the files of an earlier run of the same name, and no others.

    Parameters
    ----------
    run : name of the run, the stem of `path` by default.
    params : non-embedding parameters; by default all parameters of the model but its input and output embeddings
        (to be given where a process holds only a shard of the model).
    phase : the phase that this training is.
    pretraining : curve table of the one run (with its schedules beside it) that a "continual" phase continues.
    pretraining_steps : after how many steps of that run this phase starts; after all of them by default.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        run: str | None = None,
        seed: int = 0,
        model: str = "",
        params: int | None = None,
        phase: Literal["pretraining", "continual"] = "pretraining",
        pretraining: str | Path | None = None,
        pretraining_steps: int | None = None,
    ) -> None:
        if phase not in PHASES:
            raise UserError(f"phase is {phase!r}: choose one of {', '.join(PHASES)}")
        self.path, self.run, self.seed, self.model = Path(path), run or Path(path).stem, seed, model
        self.params, self.phase = params, phase
        self.writing = False  # during training, in the one process that writes
        self.lr: list[float] = []  # of every step of the run
        self.rows: dict[tuple[int, str], tuple[float, ...]] = {}  # (step, validation) -> MEASURED
        if pretraining is not None:
            self._continue(Path(pretraining), pretraining_steps)
        self.steps_before = len(self.lr)
        last = max((step for step, _ in self.rows), default=1)
        tokens = max((tokens for tokens, *_ in self.rows.values()), default=0.0)
        self.tokens_before = tokens * self.steps_before / last

    def _continue(self, path: Path, steps: int | None) -> None:
        if self.phase != "continual" or path.resolve() == self.path.resolve():
            raise UserError(f"{path} can only be continued by the phase continual, in another file")
        schedule = curves.read_schedules(curves.schedules_path(path))
        rows = curves.read(path, schedule)
        steps = len(schedule) if steps is None else steps
        if schedule["run"].nunique() > 1 or not 0 < steps <= (schedule["phase"] == "pretraining").sum():
            raise UserError(f"{path} cannot be continued: it must hold one run, with {steps:,} steps of pretraining")
        self._keep(schedule, rows, steps)

    def _keep(self, schedule: pd.DataFrame, rows: pd.DataFrame, steps: int) -> None:
        """Begin with the first steps of what is written."""
        self.lr = schedule["lr"].tolist()[:steps]
        kept = rows[rows["step"] <= steps]
        keys = zip(kept["step"].tolist(), kept["validation"].tolist(), strict=True)
        self.rows = dict(zip(keys, kept[MEASURED].itertuples(index=False, name=None), strict=True))

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.writing = state.is_world_process_zero
        if not self.writing:
            return
        if self.params is None:
            self.params = _non_embedding_parameters(kwargs["model"])
        self.lr = self.lr[: self.steps_before]
        self.rows = {key: row for key, row in self.rows.items() if key[0] <= self.steps_before}
        if state.global_step:
            self._resume(self.steps_before + state.global_step)
        elif self.path.exists() and set(curves.read(self.path)["run"]) != {self.run}:
            raise UserError(f"{self.path} holds other runs than {self.run!r}: give another path")

    def _resume(self, steps: int) -> None:
        beside = curves.schedules_path(self.path)
        schedule = curves.read_schedules(beside) if beside.exists() else pd.DataFrame()
        if len(schedule) < steps:
            raise UserError(
                f"{beside} has {len(schedule):,} steps, but training resumes after step {steps:,}: begin anew"
            )
        # There is no table before the first evaluation.
        rows = curves.read(self.path, schedule) if self.path.exists() else pd.DataFrame(columns=[*curves.CURVE_COLUMNS])
        self._keep(schedule, rows, steps)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.writing:
            self.lr[self.steps_before + state.global_step :] = [float(kwargs["optimizer"].param_groups[0]["lr"])]

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        metrics, step = kwargs["metrics"], self.steps_before + state.global_step
        if not self.writing or not step:
            return
        # Trainer times every set, which tells its loss from what compute_metrics adds.
        for prefix in (key.removesuffix("_runtime") for key in metrics if key.endswith("_runtime")):
            loss = float(metrics.get(f"{prefix}_loss", math.nan))
            validation = prefix.removeprefix("eval_")
            if not (math.isfinite(loss) and loss > 0):
                logger.warning(f"{self.path}: the loss of {validation} at step {step} is {loss} and left out")
                continue
            tokens = self.tokens_before + state.num_input_tokens_seen
            self.rows.setdefault((step, validation), (tokens, loss, math.nan))
        self._write()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._write()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._write()
        self.writing = False

    def _write(self) -> None:
        if not self.writing or not self.lr:
            return
        step = np.arange(1, len(self.lr) + 1)
        phase = np.where(step > self.steps_before, self.phase, "pretraining").astype(object)
        schedule = pd.DataFrame({"run": self.run, "step": step, "phase": phase, "lr": self.lr})
        curves.write_schedules(curves.schedules_path(self.path), schedule)
        if not self.rows:
            self.path.unlink(missing_ok=True)  # that of a former training
            return
        keys = pd.DataFrame(list(self.rows), columns=["step", "validation"])
        measured = pd.DataFrame(list(self.rows.values()), columns=MEASURED)
        table = keys.join(measured).merge(schedule, on="step")
        before = np.where(table["step"] > self.steps_before, self.steps_before, 0)
        table = table.assign(phase_step=table["step"] - before, seed=self.seed, model=self.model, params=self.params)
        curves.write(self.path, table)


def _non_embedding_parameters(model: nn.Module) -> int:
    layers = [
        get() for name in ("get_input_embeddings", "get_output_embeddings") if (get := getattr(model, name, None))
    ]
    embeddings = {id(weight) for layer in layers if layer is not None for weight in layer.parameters()}
    return sum(weight.numel() for weight in model.parameters() if id(weight) not in embeddings)
