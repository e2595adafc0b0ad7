"""A causal language model made elsewhere, as the model that training starts from."""

import re
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from cpt_dynamics.config import Config, PretrainedModel
from cpt_dynamics.corpora import hub, tokenizer
from cpt_dynamics.errors import UserError, one_line
from cpt_dynamics.experiments import Run
from cpt_dynamics.layout import Layout

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}")


def load(name: str, spec: PretrainedModel) -> PreTrainedModel:
    """The model `models.<name>` of the configuration, in float32 on the CPU.

    It stays in evaluation mode, in which transformers loads it: without dropout, the loss that is trained is the loss
    that is measured, and a resumed or shared run is exact. Weights must be in safetensors and complete.
    """
    hub.guard()
    where, revision = locate(name, spec)
    options: dict[str, Any] = {"revision": revision, "trust_remote_code": spec.trust_remote_code}
    try:
        shape = AutoConfig.from_pretrained(where, **options)
        if getattr(shape, "quantization_config", None):
            raise UserError(f"models.{name}: {where} is quantised and cannot be trained: name the model it was made of")
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            where,
            config=shape,
            dtype=torch.float32,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # refused below
            output_loading_info=True,
            **options,
        )
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
        raise UserError(f"models.{name}: {_reason(where, revision, error)}") from None
    model, found = loaded
    if absent := sorted({*found["missing_keys"], *(key for key, *_ in found["mismatched_keys"])}):
        raise UserError(
            f"models.{name}: {where} has no weights of the right shape for {absent[0]} ({len(absent)} in all), which"
            " would start at random: name a complete causal language model"
        )
    assert isinstance(model, PreTrainedModel)
    return model


def locate(name: str, spec: PretrainedModel) -> tuple[str, str | None]:
    """(folder, None), or (`owner/name` on the Hub, commit). A name on the Hub without a commit is refused."""
    folder = Path(spec.pretrained).expanduser()
    if folder.is_dir():
        return str(folder), None
    if HUB_NAME.fullmatch(spec.pretrained):
        repository, _, revision = spec.pretrained.partition("@")
        return repository, revision
    raise UserError(
        f"models.{name}.pretrained: {spec.pretrained} is no folder here, and a name on the Hub needs a commit, since a"
        " branch may move (`owner/name@` and 40 hexadecimal digits): `cpt-dynamics corpora pin` looks it up"
    )


def _reason(where: str, revision: str | None, error: Exception) -> str:
    """One line on why a model cannot be loaded."""
    line = one_line(error)
    if isinstance(error, SafetensorError):
        return f"the weights in {where} are damaged ({line}): fetch the model again"
    if "trust_remote_code" in line:
        return f"{where} comes with code of its own: set trust_remote_code to true to run it, after reading it"
    if "model.safetensors" in line and revision is None:
        return (
            f"{where} has no model.safetensors, and pickled weights are not read, since they can run code: save the"
            " model again with save_pretrained of transformers"
        )
    if "model.safetensors" in line:
        return (
            f"{where} at {revision} has no model.safetensors in the cache, and none came from the Hub: fetch it where"
            " there is a network, or name another revision; pickled weights are not read, since they can run code"
        )
    place = where if revision is None else f"{where} at {revision}, neither in the cache nor on the Hub,"
    return f"{place} cannot be loaded: {line[:240]}"


def check(model: PreTrainedModel, name: str, spec: PretrainedModel, config: Config, run: Run, vocabulary: int) -> None:
    """Raise `UserError` unless the model can read the tokens of the scale and the sequences of a run.

    vocabulary: entries of the tokenizer that the token files were made with.
    """
    rows = next(model.get_input_embeddings().parameters()).shape[0]
    if vocabulary > rows:
        raise UserError(
            f"models.{name}: the tokens of the scale are of {vocabulary:,} kinds, the model knows {rows:,}:"
            f" set tokenizer.pretrained to {spec.pretrained}"
        )
    own, used = tokenizer_file(name, spec), Layout(config).tokenizer
    if own is None:
        print(f"models.{name}: {spec.pretrained} has no tokenizer.json to compare with {used}", flush=True)
    elif tokenizer.load(own).get_vocab() != tokenizer.load(used).get_vocab():
        raise UserError(
            f"models.{name}: {used} is not the tokenizer of the model: set tokenizer.pretrained to {spec.pretrained}"
        )
    longest = max(config.batch.length, *(phase.batch.length for phase in run.phases))
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if limit is not None and longest > limit:
        raise UserError(
            f"models.{name}: {run.name} has sequences of {longest:,} tokens, the model takes {limit:,} at most:"
            " lower batch.length or the run's length_factor"
        )


def tokenizer_file(name: str, spec: PretrainedModel) -> Path | None:
    """tokenizer.json of the model, or None where it has none or it cannot be had."""
    where, revision = locate(name, spec)
    if revision is None:
        file = Path(where) / "tokenizer.json"
        return file if file.is_file() else None
    try:
        return Path(huggingface_hub.hf_hub_download(where, "tokenizer.json", revision=revision))
    except OSError:
        return None
