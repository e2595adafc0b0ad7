"""A checkpoint as a model folder that transformers loads."""

import json
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Plan, Run
from cpt_dynamics.files import atomic
from cpt_dynamics.layout import Layout
from cpt_dynamics.training.branch import open_trainer
from cpt_dynamics.training.model import build


def export(run: Run, step: int | None, plan: Plan, config: Config, folder: Path) -> None:
    """Write the model of a run after `step` (default: its last), and its tokenizer, to `folder`.

    Raises `UserError` where no checkpoint was kept after that step.
    """
    trainer = open_trainer(plan, config)
    at = run.steps if step is None else step
    if not 1 <= at <= run.steps:
        raise UserError(f"{run.name} has steps 1 to {run.steps}, not {at}")
    key = trainer.key(run, at)
    if not trainer.store.has(key):
        kept = [s for s in range(1, run.steps + 1) if trainer.store.has(trainer.key(run, s))]
        known = f"it has them after {', '.join(map(str, kept))}" if kept else "train it first"
        raise UserError(f"{run.name} has no checkpoint after step {at}: {known}")
    model = build(config.models[run.model], trainer.vocabulary, run.at(at)[0].batch, run.seed)
    trainer.store.load(key, model, None)
    with atomic(folder) as temporary:
        model.save_pretrained(temporary)
        file = str(Layout(config).tokenizer)
        PreTrainedTokenizerFast(tokenizer_file=file, eos_token="<|endoftext|>").save_pretrained(temporary)
        about = {"run": run.name, "step": at, "seed": run.seed, "checkpoint": key}
        (temporary / "cpt_dynamics.json").write_text(json.dumps(about, indent=1) + "\n")
