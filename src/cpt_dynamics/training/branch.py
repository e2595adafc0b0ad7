"""From a plan to files: train branches and write each one's losses and manifest."""

from collections.abc import Iterable, Sequence
from typing import Any

from cpt_dynamics.config import Config
from cpt_dynamics.corpora import batches, tokens
from cpt_dynamics.experiments import Branch, Plan, Run
from cpt_dynamics.experiments.models import weights_digest
from cpt_dynamics.files import read_json, sha256, write_json, write_table
from cpt_dynamics.layout import BRANCH_SCHEMA, Layout
from cpt_dynamics.training import device, distributed
from cpt_dynamics.training.evaluation import ValidationSet
from cpt_dynamics.training.loop import Trainer
from cpt_dynamics.training.text import Text
from cpt_dynamics.versions import machine, versions

Opened = dict[tuple[str, ...], Trainer]  # by the corpora that branches read besides those of the configuration's roles


def train(
    branches: Iterable[Branch], plan: Plan, config: Config, skip_done: bool = False, opened: Opened | None = None
) -> None:
    """Train branches one after another in this process, or in all those that torchrun has started for it.

    Each writes `branches/<id>.parquet` (step, lr, tokens, validation, loss, bits_per_byte) and its manifest.
    With `skip_done`, a branch whose files exist and were made from the present text and weights is left as it is.
    `opened` keeps text and validation sets for the next call with the same plan and configuration.
    """
    branches = list(branches)
    with distributed.together(config, [branch.run for branch in branches]):
        _train(branches, plan, config, skip_done, {} if opened is None else opened)


def _train(branches: Sequence[Branch], plan: Plan, config: Config, skip_done: bool, opened: Opened) -> None:
    layout = Layout(config)
    read = dict.fromkeys(name for branch in branches for name in branch.run.corpora)
    own = tuple(name for name in read if name not in config.trained())
    if own not in opened:
        opened[own] = open_trainer(plan, config, own)
    trainer = opened[own]
    for branch in branches:
        text = {
            name: trainer.text.streams[name].index["sha256"]
            for name in dict.fromkeys([*config.trained(), *branch.run.corpora])
        }
        inputs = {"text": text, "weights": weights_digest(config.models[branch.run.model])}
        path = layout.branch(branch.id)
        manifest = path.with_suffix(".json")
        done = skip_done and path.exists() and manifest.exists() and _inputs(read_json(manifest)) == inputs
        if distributed.agreed(done):
            print(f"{branch.id}: done before")
            continue
        rows, statistics = trainer.train(branch)
        if not distributed.first():
            continue
        write_table(path, rows, BRANCH_SCHEMA)
        write_json(
            manifest,
            {
                "branch": branch.id,
                "run": branch.run.name,
                "seed": branch.run.seed,
                "model": branch.run.model,
                "steps": [branch.first + 1, branch.last],
                "checkpoint": trainer.key(branch.run, branch.last),
                **statistics,
                "epochs": epochs(branch.run, trainer),
                "numerics": trainer.numerics.describe(),
                **inputs,
                "sha256": sha256(path),
                "machine": machine(),
                "versions": versions(),
            },
        )


def _inputs(manifest: dict[str, Any]) -> dict[str, Any]:
    """What a finished branch was made from; older ones do not name weights."""
    return {"text": manifest["text"], "weights": manifest.get("weights")}


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
    streams = {name: tokens.open(layout.tokens(name, "train")) for name in trained}
    sets = {}
    for name in dict.fromkeys([*config.validations(), *corpora]):
        spec = config.evaluation
        size = spec.out_of_domain_tokens if config.validation_only(name) else spec.tokens
        held_out = tokens.open(layout.tokens(name, "validation"))
        sets[name] = ValidationSet.open(name, held_out, lengths, size, config, numerics.device)
    vocabulary = int(next(iter(streams.values())).index["vocabulary"])
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
