"""A checkpoint as a model folder that transformers loads."""

import json
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from cpt_dynamics.config import Config, Model, PretrainedModel
from cpt_dynamics.corpora import tokenizer
from cpt_dynamics.errors import UserError, one_line
from cpt_dynamics.experiments import Plan, Run
from cpt_dynamics.files import atomic
from cpt_dynamics.layout import Layout
from cpt_dynamics.training.branch import open_trainer
from cpt_dynamics.training.model import starting
from cpt_dynamics.training.pretrained import locate


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
    model = starting(config, run.model, trainer.vocabulary, run.at(at)[0].batch, run.seed)
    trainer.store.load(key, model, None)
    with atomic(folder) as temporary:
        model.save_pretrained(temporary)
        _tokenizer(run.model, config.models[run.model], Layout(config).tokenizer).save_pretrained(temporary)
        about = {"run": run.name, "step": at, "seed": run.seed, "checkpoint": key}
        (temporary / "cpt_dynamics.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _tokenizer(name: str, spec: Model | PretrainedModel, file: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a pretrained model with all that belongs to it, or that of the scale."""
    if isinstance(spec, PretrainedModel):
        where, revision = locate(name, spec)
        try:
            own = AutoTokenizer.from_pretrained(where, revision=revision, trust_remote_code=spec.trust_remote_code)
            assert isinstance(own, PreTrainedTokenizerBase)
            return own
        except (OSError, ValueError) as error:
            line = one_line(error, 200)
            print(f"exported with {file}, since {where} has no tokenizer that transformers can load ({line})")
    end = tokenizer.load(file)
    return PreTrainedTokenizerFast(tokenizer_file=str(file), eos_token=end.id_to_token(tokenizer.separator(end, file)))
