"""From a plan to files: train branches and write each one's losses and manifest."""

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.corpora import batches, tokens
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Branch, Plan, Run
from cpt_dynamics.experiments.models import weights_digest
from cpt_dynamics.files import lock, sha256, write_json, write_table
from cpt_dynamics.layout import BRANCH_SCHEMA, Layout
from cpt_dynamics.training import device, distributed
from cpt_dynamics.training.evaluation import ValidationSet
from cpt_dynamics.training.loop import Trainer
from cpt_dynamics.training.results import is_finished, not_done, result_of
from cpt_dynamics.training.text import Text
from cpt_dynamics.versions import machine, versions

WAIT = 1.0  # seconds between looks at a branch that another process trains
Opened = dict[tuple[str, ...], Trainer]  # by the corpora that branches read besides those of the configuration's roles


def train(
    branches: Iterable[Branch], plan: Plan, config: Config, skip_done: bool = False, opened: Opened | None = None
) -> None:
    """Train branches one after another in this process, or in all those that torchrun has started for it.

    Each writes `branches/<id>.parquet` (step, lr, tokens, validation, loss, bits_per_byte) and its manifest.
    With `skip_done`, a branch that is done (`results.not_done`) is left as it is; one that another process trains is
    waited for, and left if it is done then. `opened` keeps text and validation sets for the next call with the same
    plan and configuration.
    """
    branches = list(branches)
    with distributed.together(config, [branch.run for branch in branches]):
        _train(branches, plan, config, skip_done, {} if opened is None else opened)


def _train(branches: Sequence[Branch], plan: Plan, config: Config, skip_done: bool, opened: Opened) -> None:
    read = dict.fromkeys(name for branch in branches for name in branch.run.corpora)
    own = tuple(name for name in read if name not in config.trained())
    if own not in opened:
        opened[own] = open_trainer(plan, config, own)
    trainer = opened[own]
    for branch in branches:
        if skip_done and _is_done(branch, config):
            trainer.forget(branch)  # a process that was killed may have left it
            continue
        with _alone(branch, trainer) as waited:
            if not (waited and _is_done(branch, config)):
                if skip_done and distributed.first():
                    _say_why(branch, config)
                _write(branch, trainer, *trainer.train(branch))
                trainer.forget(branch)


def _is_done(branch: Branch, config: Config) -> bool:
    done = distributed.agreed(distributed.first() and is_finished(branch, config))
    if done:
        print(f"{branch.id}: done before")
    return done


def _say_why(branch: Branch, config: Config) -> None:
    """Say why a branch is trained again."""
    if all(file.exists() for file in result_of(branch.id, config)):
        print(f"{branch.id}: is trained again, since {not_done(branch, config)}", flush=True)


@contextlib.contextmanager
def _alone(branch: Branch, trainer: Trainer) -> Iterator[bool]:
    """Keep other processes from training a branch meanwhile; wait for one that does, and yield whether one did."""
    path = trainer.store.folder / f"{branch.id}.lock"
    waited = False
    while True:
        with lock(path) if distributed.first() else contextlib.nullcontext() as other:
            other = distributed.agreed(other)
            if other is None:
                yield waited
                return
        if not waited:
            print(f"{branch.id}: waits for {other}, which trains it", flush=True)
        waited = True
        time.sleep(WAIT)


def _write(branch: Branch, trainer: Trainer, rows: pd.DataFrame, statistics: dict[str, Any]) -> None:
    """Write the losses of a branch and then their manifest, which makes it done."""
    if not distributed.first():
        return
    config, run, path = trainer.config, branch.run, Layout(trainer.config).branch(branch.id)
    read = dict.fromkeys([*config.trained(), *run.corpora])
    write_table(path, rows, BRANCH_SCHEMA)
    write_json(
        path.with_suffix(".json"),
        {
            "branch": branch.id,
            "run": run.name,
            "seed": run.seed,
            "model": run.model,
            "steps": [branch.first + 1, branch.last],
            "checkpoint": trainer.key(run, branch.last),
            **statistics,
            "epochs": epochs(run, trainer),
            "numerics": trainer.numerics.describe(),
            "text": {name: trainer.text.streams[name].index.sha256 for name in read},
            "weights": weights_digest(config.models[run.model]),
            "sha256": sha256(path),
            "machine": machine(),
            "versions": versions(),
        },
    )


def open_trainer(plan: Plan, config: Config, corpora: Sequence[str] = ()) -> Trainer:
    """Open the text of a scale, settle device and precision, and get ready to train.

    corpora: what the branches read. One that plays no role is opened, too, and validated on by the branches that
    read it.
    """
    layout = Layout(config)
    numerics = device.resolve(config.device)
    device.prepare(numerics, layout.compiled)
    lengths = tokens.token_bytes(layout.tokenizer)
    trained = dict.fromkeys([*config.trained(), *corpora])
    check = distributed.first()
    streams = {name: tokens.open(layout.tokens(name, "train"), layout.tokenizer, check) for name in trained}
    sets = {}
    for name in dict.fromkeys([*config.validations(), *corpora]):
        spec = config.evaluation
        size = spec.out_of_domain_tokens if config.validation_only(name) else spec.tokens
        held_out = tokens.open(layout.tokens(name, "validation"), layout.tokenizer, check)
        sets[name] = ValidationSet.open(name, held_out, lengths, size, config, numerics.device)
    vocabulary = next(iter(streams.values())).index.vocabulary
    if vocabulary != len(lengths):
        stated = f"the index of {layout.tokens(next(iter(streams)), 'train')} states {vocabulary:,} entries"
        raise UserError(f"{stated}, {layout.tokenizer} has {len(lengths):,}: make the tokens again")
    text = Text(streams, numerics.device)
    return Trainer(config, plan, numerics, text, vocabulary, sets, layout.root)


def epochs(run: Run, trainer: Trainer) -> dict[str, float]:
    """Epochs of each corpus that a whole run reads."""
    seen: dict[str, float] = {}
    for first, phase in run.stretches:
        size = (phase.batch.sequences, phase.batch.length)
        more = batches.epochs(trainer.text.streams, dict(phase.mixture), first, first + phase.steps - 1, *size)
        for name, share in more.items():
            seen[name] = round(seen.get(name, 0.0) + share, 4)
    return seen
