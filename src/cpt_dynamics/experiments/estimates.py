"""What training a branch will cost, before anything runs: tokens, floating-point operations, time, disk."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cpt_dynamics.config import Config, HuggingFace, Model
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.branches import Branch, measured_steps, saved_steps
from cpt_dynamics.experiments.runs import Run

CHECKPOINT_BYTES = 12  # of a parameter: the weight and the two moments of AdamW in float32
TRAINING_BYTES = 16  # of a parameter: these and the gradient in float32
BYTES_PER_TOKEN = 4.0  # of text, UTF-8: English in a vocabulary of 32,000 to 128,000 entries
ASPECT = 128  # width over layers of LLaMA models, for one of which only the size is known


@dataclass(frozen=True)
class Size:
    """What the cost of a model depends on; `parameters` are the non-embedding ones (N of Eq. 7)."""

    parameters: int
    embeddings: int
    layers: int
    width: int
    vocabulary: int

    @property
    def all_parameters(self) -> int:
        return self.parameters + self.embeddings

    def flops(self, length: int) -> float:
        """Operations of the forward pass over one token in a sequence of `length` tokens; training takes three times
        as many.

        2 for every parameter of a matrix, the output layer included, and 4 * layers * width * length for the products
        of attention, whose causal mask is not deducted: the convention of PaLM (arXiv 2204.02311, appendix B).
        """
        return 2.0 * (self.parameters + self.vocabulary * self.width) + 4.0 * self.layers * self.width * length


@dataclass(frozen=True)
class Estimate:
    """The cost of one branch, trained from the checkpoint it starts from.

    tokens : trained on
    flops : floating-point operations of training and of the evaluations on the way
    device_hours : time of all processes at `estimates.teraflops` each
    minutes : time of the job, with its start
    checkpoints, checkpoint_bytes, disk_bytes : how many are kept, the size of each, and of all
    memory_bytes : of weights, gradients and optimizer state, unsharded, on one device; activations come on top
    """

    tokens: int
    flops: float
    device_hours: float
    minutes: float
    checkpoints: int
    checkpoint_bytes: int
    disk_bytes: int
    memory_bytes: int


def scaled(value: float) -> str:
    """Three digits and the SI prefix of 1000, 1000^2 ..., for a unit to follow: `83.9 G`."""
    prefixes = iter(("", "k", "M", "G", "T", "P"))
    prefix = next(prefixes)
    while abs(value) >= 999.5 and (larger := next(prefixes, "")):
        value, prefix = value / 1000, larger
    return f"{value:.3g} {prefix}"


def duration(hours: float) -> str:
    """Hours, or minutes where they are fewer than one."""
    return f"{hours:,.0f} h" if hours >= 9.95 else f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min"


def estimate(branch: Branch, config: Config) -> Estimate:
    """What a branch will cost.

    Raises `UserError` where the size of a pretrained model is not known: it is neither stated nor in a folder here.
    """
    run, size = branch.run, size_of(branch.run.model, config)
    flops = 0.0
    for first, phase in run.stretches:
        steps = min(branch.last, first + phase.steps - 1) - max(branch.first, first - 1)
        length = phase.batch.length
        flops += 3 * size.flops(length) * max(steps, 0) * phase.batch.sequences * length
    flops += size.flops(config.batch.length) * evaluated_tokens(branch, config)
    hours = flops / (config.estimates.teraflops * 1e12) / 3600
    kept, each = len(saved_steps(branch, config)), CHECKPOINT_BYTES * size.all_parameters
    return Estimate(
        tokens=run.tokens(branch.last) - run.tokens(branch.first),
        flops=flops,
        device_hours=hours,
        minutes=60 * hours / config.device.processes + config.estimates.start_minutes,
        checkpoints=kept,
        checkpoint_bytes=each,
        disk_bytes=kept * each,
        memory_bytes=TRAINING_BYTES * size.all_parameters,
    )


def total(estimates: Iterable[Estimate]) -> Estimate:
    """The sum of estimates, with the largest checkpoint and memory among them; minutes as if one job ran at a time."""
    found = list(estimates)
    return Estimate(
        tokens=sum(one.tokens for one in found),
        flops=sum(one.flops for one in found),
        device_hours=sum(one.device_hours for one in found),
        minutes=sum(one.minutes for one in found),
        checkpoints=sum(one.checkpoints for one in found),
        checkpoint_bytes=max((one.checkpoint_bytes for one in found), default=0),
        disk_bytes=sum(one.disk_bytes for one in found),
        memory_bytes=max((one.memory_bytes for one in found), default=0),
    )


@dataclass(frozen=True)
class CorpusUse:
    """What is read of a corpus, and what it takes on disk.

    tokens : that the run which reads most of it trains on, 0 for one that only validates
    text_bytes : that the configuration lets in; None where the source states no budget
    epochs : of the training text that this run reads
    token_bytes : of the token files
    """

    name: str
    tokens: int
    text_bytes: float | None
    epochs: float | None
    token_bytes: float | None

    @property
    def disk_bytes(self) -> float:
        """Room for twice the text, and the tokens. It is kept three times (download, documents, split), compressed."""
        return 2 * (self.text_bytes or 0.0) + (self.token_bytes or 0.0)


def corpora(runs: Iterable[Run], config: Config) -> list[CorpusUse]:
    """The use of every validation set and of every other corpus that these runs read."""
    runs = list(runs)
    read = [_tokens_read(run) for run in runs]
    names = dict.fromkeys([*config.validations(), *(name for found in read for name in found)])
    return [_use(name, max((found.get(name, 0) for found in read), default=0), config) for name in names]


def _tokens_read(run: Run) -> dict[str, int]:
    found: dict[str, int] = {}
    for phase in run.phases:
        tokens = phase.steps * phase.batch.sequences * phase.batch.length
        for name, share in phase.mixture:
            found[name] = found.get(name, 0) + round(share * tokens)
    return found


def _use(name: str, tokens: int, config: Config) -> CorpusUse:
    text = text_budget(name, config)
    if text is None:
        return CorpusUse(name, tokens, None, None, None)
    there = text / BYTES_PER_TOKEN
    trained = there * (1 - config.split.validation_share)
    entry = 2 if config.tokenizer.vocabulary <= 2**16 else 4
    return CorpusUse(name, tokens, text, tokens / trained, entry * there)


def text_budget(name: str, config: Config) -> float | None:
    """Bytes of text that the configuration lets in of a corpus; None where its source states no budget."""
    spec = config.corpora[name]
    if not isinstance(spec, HuggingFace):
        return None
    limits = [config.split.maximum_megabytes * 1e6]
    if spec.maximum_megabytes is not None:
        limits.append(spec.maximum_megabytes * 1e6)
    if spec.maximum_tokens is not None:
        limits.append(spec.maximum_tokens * BYTES_PER_TOKEN)
    return min(limits)


def evaluations(branch: Branch, config: Config) -> int:
    """How many times a branch is evaluated; one that leaves another begins with an evaluation."""
    return len(set().union(*measured_steps(branch, config).values()))


def evaluated_tokens(branch: Branch, config: Config) -> int:
    """Tokens of all evaluations of a branch: whole batches of every validation set."""
    batch, spec = config.batch.sequences * config.batch.length, config.evaluation
    total = 0
    for name, steps in measured_steps(branch, config).items():
        wanted = spec.out_of_domain_tokens if config.validation_only(name) else spec.tokens
        total += len(steps) * max(1, wanted // batch) * batch
    return total


def size_of(model: str, config: Config) -> Size:
    """The size of a model of the configuration.

    Of a pretrained model it is read from its folder, where there is one. Of a name on the Hub only
    `models.<model>.parameters` is known: its width is then taken to be 128 times its layers, as LLaMA's is.
    """
    spec, vocabulary = config.models[model], config.tokenizer.vocabulary
    if isinstance(spec, Model):
        return Size(non_embedding_parameters(spec), vocabulary * spec.width, spec.layers, spec.width, vocabulary)
    folder = Path(spec.pretrained).expanduser()
    if (folder / "config.json").is_file():
        return _read_size(folder)
    if spec.parameters is None:
        raise UserError(
            f"models.{model}: {spec.pretrained} is no folder of a model here: "
            f"state its non-embedding parameters in models.{model}.parameters"
        )
    width = round((spec.parameters * ASPECT / 12) ** (1 / 3))
    return Size(spec.parameters, vocabulary * width, max(1, round(width / ASPECT)), width, vocabulary)


def non_embedding_parameters(model: Model) -> int:
    """Parameters of a LLaMA-like model but its tied embedding: attention, gated feed-forward, gains of norms."""
    layer = 4 * model.width**2 + 3 * model.width * model.feedforward + 2 * model.width
    return model.layers * layer + model.width


@cache
def _read_size(folder: Path) -> Size:
    """Shape from config.json, and parameters from the headers of the weights."""
    try:
        stated = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        vocabulary = int(stated["vocab_size"])
        layers = int(stated.get("num_hidden_layers") or stated["n_layer"])
        width = int(stated.get("hidden_size") or stated["n_embd"])
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{folder / 'config.json'} does not state the size of a language model") from None
    shapes = [shape for file in sorted(folder.glob("*.safetensors")) for shape in _shapes(file)]
    if not shapes:
        raise UserError(f"{folder} has no *.safetensors: save the model's weights there in that format")
    embeddings = sum(rows * columns for rows, *rest in shapes if rows == vocabulary for columns in rest[:1])
    return Size(sum(map(math.prod, shapes)) - embeddings, embeddings, layers, width, vocabulary)


def _shapes(file: Path) -> list[list[int]]:
    from safetensors import SafetensorError, safe_open  # not in an installation that only fits

    try:
        with safe_open(file, framework="numpy") as tensors:
            return [tensors.get_slice(name).get_shape() for name in tensors.keys()]  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(f"{file} cannot be read ({error}): fetch the model again") from None
