"""The training loop: one branch, from the nearest checkpoint to its last step."""

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat
from torch import Tensor
from tqdm import tqdm
from transformers import PreTrainedModel

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError, cause
from cpt_dynamics.experiments import Branch, Plan, Run
from cpt_dynamics.experiments.branches import data_stretches, measured_steps, prefix_digest, saved_steps
from cpt_dynamics.experiments.models import weights_digest
from cpt_dynamics.files import is_sealed, read_json, read_model, sealed, write_json
from cpt_dynamics.layout import BRANCH_COLUMNS
from cpt_dynamics.training import distributed
from cpt_dynamics.training.checkpoints import Damaged, Store
from cpt_dynamics.training.device import Numerics
from cpt_dynamics.training.evaluation import ValidationSet, evaluate
from cpt_dynamics.training.model import TokenLoss, adamw, initial, made_here, non_embedding_parameters, set_rope
from cpt_dynamics.training.results import Start
from cpt_dynamics.training.text import Text

CHECK_EVERY = 20  # steps between looks at the losses for a non-finite one; a look makes a GPU wait


class Step:
    """One step of optimisation: loss, gradient, clipping, AdamW."""

    def __init__(self, model: PreTrainedModel, config: Config, numerics: Numerics, compiled: bool) -> None:
        self.model = model
        self.token_loss = distributed.place(TokenLoss(model, numerics.precision), numerics, compiled)
        self.optimizer = adamw(model, config.optimizer)
        self.clip = config.optimizer.clip
        self.micro_batch = numerics.micro_batch
        self.losses = torch.zeros(CHECK_EVERY, device=numerics.device)

    def __call__(self, batch: Tensor, lr: float, step: int) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        parts = distributed.micro_batches(batch, self.micro_batch)
        mean = torch.zeros((), device=batch.device)
        for number, (part, weight) in enumerate(parts, 1):
            with distributed.accumulating(self.token_loss, more=number < len(parts)):
                loss = self.token_loss(part) * weight
                loss.backward()
            mean += loss.detach()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.losses[step % CHECK_EVERY] = mean

    def evaluate(self, sets: list[ValidationSet]) -> Tensor:
        return evaluate(self.token_loss, sets, self.micro_batch)

    def not_finite(self, step: int) -> int | None:
        """The first of the last `CHECK_EVERY` steps up to `step` whose training loss is not finite."""
        self.losses = distributed.mean(self.losses)
        seen = self.losses.tolist()
        recent = range(max(1, step - CHECK_EVERY + 1), step + 1)
        return next((s for s in recent if not math.isfinite(seen[s % CHECK_EVERY])), None)


@dataclass
class Trainer:
    """What all branches of a process share: text, validation sets, compiled functions, checkpoints."""

    config: Config
    plan: Plan
    numerics: Numerics
    text: Text
    vocabulary: int
    sets: dict[str, ValidationSet]
    folder: Path

    @property
    def store(self) -> Store:
        return Store(self.folder / "checkpoints")

    def sets_of(self, run: Run) -> list[ValidationSet]:
        """Validation sets of the scale, then those of corpora that this run reads besides."""
        return [self.sets[name] for name in dict.fromkeys([*self.config.validations(), *run.corpora])]

    def key(self, run: Run, step: int) -> str:
        """Name of the checkpoint of a run after a step."""
        used = {corpus for _, data in data_stretches(run, step) for corpus, _ in data[0]}
        text = {name: self.text.streams[name].index.sha256 for name in sorted(used)}
        more = [self.numerics.describe(), text, self.vocabulary]
        if weights := weights_digest(self.config.models[run.model]):
            more.append(weights)
        return prefix_digest(run, step, self.config, more)

    def train(self, branch: Branch) -> tuple[pd.DataFrame, dict[str, Any]]:
        """Train one branch.

        Returns its rows (step, lr, tokens, validation, loss, bits_per_byte) and statistics for its manifest. What was
        recorded on the way stays until these are written, see `forget`.
        """
        run, config, sets = branch.run, self.config, self.sets_of(branch.run)
        planned = measured_steps(branch, config)
        saved = saved_steps(branch, config)

        # the model as it starts; a curve table has no step 0, so its losses go into the manifest of every job anew
        model = initial(config, run, self.vocabulary)
        train_step = Step(model, config, self.numerics, self.numerics.compile)
        initial_losses = None if branch.first or made_here(model) else train_step.evaluate(sets).tolist()

        # the latest checkpoint on the way to this branch
        rows = self.rows(branch)
        start = self._resume(branch, train_step, rows)
        if start <= branch.first:  # else what it once started from is in the record
            rows.started_from = {"step": start, "sha256": self.store.digest(self.key(run, start))} if start else None
        rope_base = run.at(max(start, 1))[0].batch.rope_base

        start_date, start_time, start_cpu = datetime.now(UTC), time.perf_counter(), time.process_time()
        if 0 < start == branch.first:
            rows.add(run, start, train_step.evaluate(sets), sets)
        steps = range(start + 1, branch.last + 1)
        bar = tqdm(steps, desc=branch.id, mininterval=5, unit="step", disable=not distributed.first())
        for step in bar:
            phase, _ = run.at(step)
            if phase.batch.rope_base != rope_base:
                rope_base = phase.batch.rope_base
                set_rope(model, rope_base)
            train_step(self._batch(run, step), float(run.lr[step - 1]), step)

            # once in a while: is the loss finite?
            if step % CHECK_EVERY == 0 or step in saved:
                self._check(train_step, step, branch)
                bar.set_postfix(loss=f"{float(train_step.losses[step % CHECK_EVERY]):.3f}", refresh=False)
                bar.set_description(f"{branch.id} {_rate(run, start, step, start_time)} tokens/s", refresh=False)
            # once in a while: evaluate
            if chosen := [one for one in sets if step in planned[one.name]]:
                rows.add(run, step, train_step.evaluate(chosen), chosen)
            # once in a while: save
            if step in saved:
                rows.write(step, self.key(run, step))
                self.store.save(self.key(run, step), step, model, train_step.optimizer)

        table, started_from = rows.table(), rows.started_from
        tokens = run.tokens(branch.last) - run.tokens(start)
        wall = time.perf_counter() - start_time
        names = (validation.name for validation in sets)
        return table, {
            "parameters": non_embedding_parameters(model),
            **({"initial_losses": dict(zip(names, initial_losses, strict=True))} if initial_losses else {}),
            "started_from_step": start,
            "started_from": started_from,
            "checkpoints": self._written(branch),
            "steps_trained": branch.last - start,
            "started": start_date.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "wall_seconds": round(wall, 3),
            "cpu_seconds": round(time.process_time() - start_cpu, 3),
            "tokens_per_second": round(tokens / wall, 1) if wall > 0 else None,
        }

    def rows(self, branch: Branch) -> "Rows":
        """The losses measured so far on a branch."""
        return Rows(self.store.folder / f"{branch.id}.rows.json")

    def forget(self, branch: Branch) -> None:
        """Remove what was recorded on the way to results that are written; checkpoints stay."""
        if distributed.first():
            self.rows(branch).path.unlink(missing_ok=True)

    def _written(self, branch: Branch) -> dict[str, str]:
        """Step -> sha256 of each checkpoint of a branch that is there; the process that writes the manifest asks."""
        if not distributed.first():
            return {}
        keys = {step: self.key(branch.run, step) for step in sorted(saved_steps(branch, self.config))}
        return {str(step): digest for step, key in keys.items() if (digest := self.store.stated(key))}

    def _batch(self, run: Run, step: int) -> Tensor:
        phase, _ = run.at(step)
        return distributed.share(self.text.batch(dict(phase.mixture), step, phase.batch, run.seed))

    def _resume(self, branch: Branch, train_step: Step, rows: "Rows") -> int:
        """Load the latest whole checkpoint on the branch's path up to which its rows are known; return its step."""
        run = branch.run
        # The first of several processes decides; only it has rows.
        steps = distributed.agreed(self._kept(branch, rows.read(branch, self)) if distributed.first() else [])
        start = next((step for step in steps if self._loads(branch, step, train_step)), 0)
        if start:
            set_rope(train_step.model, run.at(start)[0].batch.rope_base)
        rows.keep(start if start > branch.first else 0)  # the losses after `branch.first` are measured anew
        return start

    def _loads(self, branch: Branch, step: int, train_step: Step) -> bool:
        """Load a checkpoint; one that is damaged is passed over with a line."""
        try:
            self.store.load(self.key(branch.run, step), train_step.model, train_step.optimizer)
        except Damaged as error:
            print(f"{branch.id}: passes over the checkpoint of step {step}, since {cause(error)}", flush=True)
            return False
        return True

    def _kept(self, branch: Branch, recorded: int) -> list[int]:
        """Steps of the checkpoints from which a branch can go on, the latest first."""
        ancestors = [self.plan.branches[name] for name, _ in self.plan.chains[branch.run.name]]
        steps = {branch.first}.union(*(saved_steps(ancestor, self.config) for ancestor in ancestors))
        useful = [s for s in sorted(steps, reverse=True) if 0 < s <= max(branch.first, min(recorded, branch.last))]
        return [step for step in useful if self.store.has(self.key(branch.run, step))]

    def _check(self, train_step: Step, step: int, branch: Branch) -> None:
        bad = train_step.not_finite(step)
        if bad is None:
            return
        keys = {s: self.key(branch.run, s) for s in sorted(saved_steps(branch, self.config)) if s < bad}
        good = [s for s, key in keys.items() if self.store.has(key)]
        last = "there is no checkpoint before it"
        if good:
            last = f"the last good checkpoint is {self.store.path(keys[good[-1]])} (step {good[-1]})"
        raise UserError(f"{branch.id}: the training loss is not finite at step {bad}; {last}: lower optimizer.peak_lr")


class Row(BaseModel):
    """A loss, as the table of a branch has it."""

    model_config = ConfigDict(strict=True)

    step: int
    lr: FiniteFloat
    tokens: int = Field(ge=0, lt=2**63)
    validation: str
    loss: FiniteFloat
    bits_per_byte: FiniteFloat


class Recorded(BaseModel):
    """`<branch>.rows.json`: what was measured up to a step, and the checkpoint of that step."""

    model_config = ConfigDict(strict=True)

    upto: int
    key: str | None = None  # older kits did not state it
    started_from: Start | None = None
    rows: list[Row]


class Rows:
    """Losses measured so far on a branch, kept beside its checkpoints so that a killed job loses none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        self.started_from: dict[str, Any] | None = None  # step and sha256 of the checkpoint, where it was one
        self._measured: list[tuple[Run, int, Tensor, list[ValidationSet]]] = []

    def add(self, run: Run, step: int, losses: Tensor, sets: list[ValidationSet]) -> None:
        """Note losses without waiting for the device to have them."""
        self._measured.append((run, step, losses, sets))

    def _settle(self) -> None:
        """Wait for the losses that were noted."""
        for run, step, losses, sets in self._measured:
            state = {"step": step, "lr": float(run.lr[step - 1]), "tokens": run.tokens(step)}
            for validation, loss in zip(sets, losses.tolist(), strict=True):
                bits = validation.bits_per_byte(loss)
                self.rows.append({**state, "validation": validation.name, "loss": loss, "bits_per_byte": bits})
        self._measured.clear()

    def write(self, step: int, key: str) -> None:
        """Write what is measured up to a step, of which the checkpoint has a key."""
        self._settle()
        if distributed.first():
            recorded = {"upto": step, "key": key, "started_from": self.started_from, "rows": self.rows}
            write_json(self.path, sealed(recorded))

    def read(self, branch: Branch, trainer: Trainer) -> int:
        """Load what a former process recorded; returns the step up to which it is complete, 0 if it is of no use."""
        if not self.path.exists():
            return 0
        try:
            return self._read(branch, trainer)
        except UserError as error:
            print(f"{branch.id}: measures its losses anew, since {cause(error)}", flush=True)
            return 0

    def _read(self, branch: Branch, trainer: Trainer) -> int:
        remedy = "it is written again"
        saved = read_model(Recorded, self.path, remedy)
        raw = read_json(self.path)
        if not is_sealed(raw):
            raise UserError(f"{self.path} is not what was written: {remedy}")
        if not branch.first < saved.upto <= branch.last or saved.key not in (None, trainer.key(branch.run, saved.upto)):
            raise UserError(f"{self.path} is of another training: {remedy}")
        planned = measured_steps(branch, trainer.config)
        expected = {(step, name) for name, steps in planned.items() for step in steps if step <= saved.upto}
        if len(saved.rows) != len(expected) or {(row.step, row.validation) for row in saved.rows} != expected:
            raise UserError(f"{self.path} has not the losses up to step {saved.upto}: {remedy}")
        self.rows, self.started_from = [row.model_dump() for row in saved.rows], raw.get("started_from")
        return saved.upto

    def keep(self, step: int) -> None:
        self.rows = [row for row in self.rows if row["step"] <= step]

    def table(self) -> pd.DataFrame:
        self._settle()
        return pd.DataFrame(self.rows, columns=BRANCH_COLUMNS)


def _rate(run: Run, start: int, step: int, start_time: float) -> str:
    tokens = run.tokens(step) - run.tokens(start)
    return f"{tokens / max(time.perf_counter() - start_time, 1e-9):,.0f}"
