"""The configuration: one pydantic model per section, the source of the JSON schema and of the documented defaults."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from cpt_dynamics.errors import UserError, one_line
from cpt_dynamics.files import reading

DEFAULT = Path("config/config.yaml")


# What becomes a part of a path, of a rule and of a command.
NAME, LONGEST_NAME = r"^[a-z][a-z0-9_]*$", 80
A_NAME = f"give one of a-z, 0-9 and _ that begins with a letter, of at most {LONGEST_NAME} characters"
Name = Annotated[str, Field(pattern=NAME, max_length=LONGEST_NAME)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]

# Upper bounds are far beyond what is trained anywhere: they keep a slip of the pen from filling the memory.
MOST_STEPS = 10**7  # of a phase
MOST_TOKENS = 10**15
Megabytes = Annotated[float, Field(gt=0, le=1e9)]
SCIENTIFIC = re.compile(r"[-+]?[0-9]{1,17}[eE][-+]?[0-9]{1,3}$")  # a number in YAML 1.2, text in YAML 1.1


class Section(BaseModel):
    """A section of a YAML file: unknown keys are refused, and so are NaN, infinity, and `true` for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Installed(Section):
    """Text read from the Python packages of the pinned environment."""

    source: Literal["installed"]
    kind: Literal["docstrings", "code", "tests", "comments", "stubs", "licences", "descriptions"] = Field(
        description="what is read from each distribution"
    )
    distributions: dict[str, str] = Field(
        min_length=1, description="distribution name -> exact version that the text is read from"
    )
    sha256: str | None = Field(
        None,
        description="expected digest of all documents; a mismatch is said in source.json, in the log and in the report",
    )
    licence: str = Field("licences of the distributions", description="shown in the report")
    description: str = Field("", description="one line for the report")


class Reader(Section):
    """How documents are taken out of files that were written for something else."""

    kind: Literal["text", "markdown", "wiki", "xml", "python", "jsonl"] = Field(
        description="`text` and `python`: a file is a document; `markdown`: without its marks; `wiki`: the articles of"
        " WikiExtractor; `xml`: the text of `elements`; `jsonl`: a document a line, of the keys `elements`"
    )
    elements: list[str] = Field(
        [], description="xml: names of elements, each a line of the document; jsonl: keys, each a paragraph"
    )
    without: list[str] = Field([], description="xml: names of elements whose text is left out")
    containing: str | None = Field(
        None, description="regular expression that a file must match somewhere, such as the address of its licence"
    )
    characters: int = Field(1, ge=1, description="documents that are shorter are left out")

    @model_validator(mode="after")
    def _parts(self) -> "Reader":
        if (self.kind in ("xml", "jsonl")) != bool(self.elements):
            raise ValueError("`elements` goes with xml and jsonl, which need it")
        try:
            re.compile(self.containing or "")
        except re.error as error:
            raise ValueError(f"containing: {error}") from None
        return self


class Git(Section):
    """Text in files of a git repository at one commit, of which no more is fetched than what matches `paths`."""

    source: Literal["git"]
    repository: str = Field(
        pattern=r"^(https?|git|ssh|file)://[^\s]+$", description="address of the repository, as `git fetch` takes it"
    )
    commit: Commit = Field(description="commit whose files are read")
    paths: list[str] = Field(
        min_length=1, description="globs of the files in the repository; `**` stands for any number of folders"
    )
    validation: list[str] = Field(
        [],
        exclude_if=lambda value: not value,
        description="globs of files whose documents are all held out, instead of `split.validation_share` of those in"
        " `paths`",
    )
    reader: Reader = Field(description="how documents are taken out of the files")
    licence: str = Field("not stated", description="shown in the report")
    description: str = Field("", description="one line for the report")


class HuggingFace(Section):
    """Text data set of the Hugging Face Hub, streamed from a pinned revision up to a budget."""

    source: Literal["huggingface"]
    repository: str = Field(pattern=r"^[\w.-]+(/[\w.-]+)?$", description="name of the data set, `owner/name`")
    configuration: str | None = Field(None, description="configuration (subset) of the data set")
    split: str = Field("train", description="split of the data set")
    files: list[str] = Field(
        [], description="paths or globs of files in the repository, for one without a usable configuration"
    )
    text: str = Field("text", description="column that holds the text of a document")
    revision: Commit | None = Field(
        None,
        description="commit that is read; null: not looked up yet, `cpt-dynamics corpora pin` writes it into the file",
    )
    maximum_megabytes: Megabytes | None = Field(None, description="text to read at most")
    maximum_tokens: int | None = Field(
        None, ge=1, le=MOST_TOKENS, description="tokens to read at most, counted with `tokenizer`; needs it"
    )
    tokenizer: str | None = Field(
        None, description="folder or Hub name (`name@revision`) of the tokenizer that counts `maximum_tokens`"
    )
    licence: str | None = Field(None, description="shown in the report (default: what the data set's card states)")
    description: str = Field("", description="one line for the report")

    @model_validator(mode="after")
    def _budget(self) -> "HuggingFace":
        if self.maximum_megabytes is None and self.maximum_tokens is None:
            raise ValueError("state maximum_megabytes or maximum_tokens: a data set is streamed up to a budget")
        if (self.maximum_tokens is None) != (self.tokenizer is None):
            raise ValueError("maximum_tokens and tokenizer go together")
        return self


class Remote(Section):
    """One file to download."""

    url: str = Field(pattern=r"^https?://", description="address of the file or archive")
    sha256: Sha256 = Field(description="digest of the file; another one is refused")


class Http(Section):
    """Text in files or archives at fixed addresses."""

    source: Literal["http"]
    files: list[Remote] = Field(
        min_length=1,
        description="files as of `local`, and archives of them (.zip, .tar, .tar.gz, .tar.zst)",
    )
    members: list[str] = Field(
        ["**/*.txt", "**/*.jsonl", "**/*.jsonl.*", "**/*.parquet"],
        description="globs of the members that are read from archives",
    )
    maximum_gigabytes: float = Field(20, gt=0, le=1e6, description="size that an archive may unpack to")
    reader: Reader | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="how documents are taken out of the members of archives; without it they are files as of `local`",
    )
    text: str = Field("text", description="key or column that holds the text of a document")
    licence: str = Field("not stated", description="shown in the report")
    description: str = Field("", description="one line for the report")


class Local(Section):
    """Text in files on this machine."""

    source: Literal["local"]
    paths: list[str] = Field(
        min_length=1,
        description="files or globs: .txt (one document a file), .jsonl, .parquet, each plain or with .gz or .zst;"
        " environment variables such as `${HOME}` are filled in",
    )
    validation: list[str] = Field(
        [],
        exclude_if=lambda value: not value,
        description="files whose documents are all held out, instead of `split.validation_share` of those in `paths`",
    )
    text: str = Field("text", description="key or column that holds the text of a document")
    otherwise: Annotated[Git | Http, Field(discriminator="source")] | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="source that is read instead where an environment variable in `paths` is not set",
    )
    licence: str = Field("not stated", description="shown in the report")
    description: str = Field("", description="one line for the report")


class Rule(Section):
    """Text that a rule of one's own writes to `data/corpora/<name>/`."""

    source: Literal["rule"]
    description: str = Field("", description="one line for the report")


Corpus = Annotated[Installed | Local | HuggingFace | Http | Git | Rule, Field(discriminator="source")]


class Role(StrEnum):
    """The part that a corpus plays, and the loss on its validation set; its value is its name in files."""

    GENERAL = "general"  # D_pt
    STRONG = "strong"  # D_cpt
    WEAK = "weak"
    OUT_OF_DOMAIN = "out_of_domain"
    PROXY = "proxy"  # stands for a D_pt that is not known

    @classmethod
    def _missing_(cls, value: object) -> "Role | None":
        """`Role("domain")` is D_cpt, as fits of one's own logs call it, which know one domain only."""
        return cls.STRONG if value == "domain" else None

    @property
    def short(self) -> str:
        """Its name in plans and fits of one's own logs: `domain` for D_cpt."""
        return "domain" if self is Role.STRONG else str(self)


FITTED = (Role.GENERAL, Role.STRONG)  # the roles whose losses the law is fitted to
TRAINED = (Role.GENERAL, Role.STRONG, Role.WEAK)  # the roles whose corpora are trained on


class Roles(Section):
    """Which corpus plays which part in the experiments."""

    general: Name = Field(description="D_pt, the corpus of pre-training")
    strong: Name = Field(description="D_cpt of strong distribution shift")
    weak: Name = Field(description="D_cpt of weak distribution shift")
    out_of_domain: list[Name] = Field(
        [],
        description="validation-only corpora (Fig 9, 21, 22); one that has another role, too, is measured at"
        " their steps where CPT does not read it",
    )


class Split(Section):
    """Division of every corpus into training and validation documents, by a hash of the text."""

    validation_share: float = Field(0.05, gt=0, lt=1, description="share of the documents held out")
    maximum_megabytes: Megabytes = Field(
        40, description="text of one corpus beyond this size is left out (documents by hash order)"
    )
    near_duplicates: float | None = Field(
        None,
        ge=0.5,
        le=1,
        exclude_if=lambda value: value is None,
        description="validation documents that share this much of their five-word sequences with a training document"
        " (Jaccard similarity) are left out (default: none is, and their share is in the report)",
    )


class Tokenizer(Section):
    """Byte-level BPE trained for the scale, or a pretrained tokenizer."""

    vocabulary: int = Field(2048, ge=260, le=10**7, description="entries, special tokens included")
    shares: dict[str, Annotated[float, Field(ge=0, le=1e6)]] = Field(
        {"general": 0.6, "weak": 0.2, "strong": 0.2},
        description="share of the training text taken from each role's corpus",
    )
    megabytes: Megabytes = Field(4, description="text that the tokenizer is trained on")
    pretrained: str | None = Field(None, description="folder or Hub name of a tokenizer to use instead")


class Model(Section):
    """A LLaMA-like model (transformers' LlamaForCausalLM), tied embeddings."""

    layers: int = Field(ge=1, le=10**4)
    width: int = Field(ge=8, le=10**6, description="hidden size")
    heads: int = Field(ge=1, le=10**6, description="attention heads; must divide width")
    feedforward: int = Field(ge=8, le=10**7, description="intermediate size of the gated feed-forward part")

    @model_validator(mode="after")
    def _heads(self) -> "Model":
        if self.width % (2 * self.heads):
            raise ValueError("width must be a multiple of twice the number of heads")
        return self


class PretrainedModel(Section):
    """A causal language model made elsewhere, in safetensors: CPT starts from its weights."""

    pretrained: str = Field(description="folder, or Hub name `owner/name@revision`, that transformers can load")
    parameters: int | None = Field(
        None, ge=1, le=MOST_TOKENS, description="non-embedding parameters, for estimates before the model is at hand"
    )
    trust_remote_code: bool = Field(False, description="run the code that comes with the model")


def _kind_of_model(value: Any) -> str:
    named = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    return "PretrainedModel" if "pretrained" in named else "Model"


AnyModel = Annotated[
    Annotated[Model, Tag("Model")] | Annotated[PretrainedModel, Tag("PretrainedModel")], Discriminator(_kind_of_model)
]


class Optimizer(Section):
    """AdamW as in the paper's Table 1."""

    peak_lr: float = Field(gt=0, le=1000, description="peak learning rate of pre-training")
    beta1: float = Field(0.9, gt=0, lt=1)
    beta2: float = Field(0.95, gt=0, lt=1)
    epsilon: float = Field(1e-8, gt=0, le=1)
    weight_decay: float = Field(0.1, ge=0, le=1000, description="on matrices, not on norm gains")
    clip: float = Field(1.0, gt=0, le=1e9, description="maximum norm of the gradient")


class Batch(Section):
    sequences: int = Field(ge=1, le=10**7, description="sequences a step")
    length: int = Field(ge=8, le=10**8, description="tokens a sequence")
    rope_base: float = Field(10000.0, gt=0, le=1e15, description="base of the rotary position encoding")


class Lengths(Section):
    """Steps of the phases; experiments.yaml states phases as multiples of these."""

    pretraining: int = Field(ge=8, le=MOST_STEPS)
    continual: int = Field(ge=4, le=MOST_STEPS)
    warmup: int = Field(ge=0, le=MOST_STEPS, description="warm-up steps of pre-training")
    rewarmup: int = Field(ge=0, le=MOST_STEPS, description="re-warm-up steps of continual pre-training")


class Evaluation(Section):
    """When losses are measured, and on how many validation tokens."""

    tokens: int = Field(ge=512, le=MOST_TOKENS, description="validation tokens of the general and domain corpora")
    out_of_domain_tokens: int = Field(ge=512, le=MOST_TOKENS, description="validation tokens of each other corpus")
    every: int = Field(ge=1, le=MOST_STEPS, description="steps between evaluations")
    dense: int = Field(
        ge=1,
        le=MOST_STEPS,
        description="after the start and after each transfer: at 1, 2, 4, 8 ... steps up to this one",
    )
    # Part of a branch's identity only where it is set, so that earlier branches keep their names.
    out_of_domain_every: int | None = Field(
        None,
        ge=1,
        le=MOST_STEPS,
        exclude_if=lambda value: value is None,
        description="steps between evaluations of the out-of-domain corpora, a multiple of `every`, besides those after"
        " a transfer and at the ends of phases (default: `every`)",
    )
    out_of_domain_dense: int | None = Field(
        None,
        ge=1,
        le=MOST_STEPS,
        exclude_if=lambda value: value is None,
        description="as `dense`, for the out-of-domain corpora (default: `dense`)",
    )

    @model_validator(mode="after")
    def _thinned(self) -> "Evaluation":
        if self.out_of_domain_every is not None and self.out_of_domain_every % self.every:
            raise ValueError("out_of_domain_every must be a multiple of every")
        return self


class Law(Section):
    """Fixed choices of the law."""

    lambda_: float = Field(
        0.987,
        gt=0,
        lt=1,
        alias="lambda",
        description="memory of the annealing area (Eq. 1), fixed before fitting: 1 - 60/T for PT + CPT of T steps",
    )
    warmup: Literal["peak", "true-in-S1", "true-in-both"] = Field(
        "peak", description="how the warm-up of pre-training counts in the areas"
    )
    carry_over: bool = Field(True, description="the annealing momentum carries over from PT into CPT")
    first_step: int = Field(
        0,
        ge=0,
        le=MOST_STEPS,
        description="rows of pre-training before this step are left out of fits (the law holds after warm-up)",
    )


class Device(Section):
    """Where and in which precision models are trained. Part of a result's identity on purpose."""

    name: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 on a GPU, float32 on a CPU"
    )
    compile: Literal["auto", "on", "off", "graphs"] = Field(
        "auto",
        description="auto: torch.compile where a C++ compiler and Python's headers are found; graphs: with CUDA graphs,"
        " too, for models so small that a GPU waits for the next kernel",
    )
    threads: int = Field(1, ge=1, le=4096, description="CPU threads of one training process")
    # Keys below are part of a branch's identity only where they are set, so that earlier branches keep their names.
    processes: int = Field(
        1,
        ge=1,
        le=4096,
        exclude_if=lambda value: value == 1,
        description="processes (one a GPU) that train one branch together; the batch stays the same",
    )
    sharding: Literal["auto", "off", "full"] = Field(
        "auto",
        exclude_if=lambda value: value == "auto",
        description="how several processes hold a model: whole in each (`off`, DDP) or in shards (`full`, FSDP); auto:"
        " shards where weights and optimizer state would fill half of a GPU",
    )
    micro_batch: int | None = Field(
        None,
        ge=1,
        le=10**7,
        exclude_if=lambda value: value is None,
        description="sequences that a process takes at a time, their gradients added up (default: its whole share)",
    )


class Estimates(Section):
    """What estimates of time and the requests to a cluster assume. No result depends on it."""

    teraflops: float = Field(
        0.06,
        ge=1e-9,
        le=1e9,
        description="10^12 floating-point operations a second that one process sustains in training",
    )
    start_minutes: float = Field(0.2, ge=0, le=1e6, description="start and compilation of a training job")
    time_factor: float = Field(2.0, ge=1, le=1000, description="time asked of a cluster, in units of the estimate")
    memory_gigabytes: float = Field(
        2.0, gt=0, le=1e6, description="main memory that each process of a training job asks for"
    )


FileList = Annotated[list[str], Field(min_length=1)]
Files = Annotated[
    FileList,
    BeforeValidator(lambda raw: [raw] if isinstance(raw, str) else raw, json_schema_input_type=FileList | str),
]


class Config(Section):
    """A scale: everything that one `results/<scale>/` is made from."""

    scale: Name
    results: str = Field("results", description="folder of everything that is generated")
    data: str = Field("data/corpora", description="folder of documents")
    experiments: Files = Field(
        ["config/experiments.yaml"],
        description="files of runs and figures, one or a list; each adds to those before it",
    )
    curves: Literal["trained", "released"] = Field(
        "trained",
        description="`trained`: from training runs; `released`: from the folder `released`, without training anything",
    )
    released: str = Field("data/released", description="folder of released curves, `<released>/<scale>`")
    public_curves: str = Field(
        "data/public/multipowerlaw",
        description="folder of the public curves, which `snakemake fetch_public_curves` fills; their figure is in the"
        " report where they are",
    )
    custom_rules: list[str] = Field([], description="rule files of one's own, included last")
    seed: int = Field(1, ge=0, le=10**18, description="of weights and of the order of the data")
    corpora: dict[Name, Corpus]
    roles: Roles
    split: Split = Split()
    tokenizer: Tokenizer = Tokenizer()
    models: dict[Name, AnyModel] = Field(min_length=1)
    optimizer: Optimizer
    batch: Batch
    lengths: Lengths
    evaluation: Evaluation
    checkpoint_every: int = Field(
        500, ge=1, le=MOST_STEPS, description="steps between checkpoints that later forks can start from"
    )
    law: Law = Law()
    device: Device = Device()
    estimates: Estimates = Estimates()

    @model_validator(mode="after")
    def _references(self) -> "Config":
        named = [
            *((f"roles.{role}", self.corpus_of(role)) for role in TRAINED),
            *((f"roles.out_of_domain[{i}]", n) for i, n in enumerate(self.roles.out_of_domain)),
        ]
        for key, name in named:
            if name not in self.corpora:
                raise ValueError(f"{key} names {name!r}, which is not in corpora")
        for model in self.models:
            if re.fullmatch(r"seed\d+|schedules", model):  # files of the curves of a run end in these
                raise ValueError(f"models.{model}: this name is taken: give the model another")
        unknown = set(self.tokenizer.shares) - {*TRAINED}
        if unknown:
            raise ValueError(f"tokenizer.shares has unknown roles {sorted(unknown)}")
        return self

    def corpus_of(self, role: str) -> str:
        """The corpus name for a role of `TRAINED`, or the name itself if it is a corpus."""
        if role in TRAINED:
            return str(getattr(self.roles, role))
        if role not in self.corpora:
            raise UserError(f"{self.stated_in}: {role!r} is neither a role nor a corpus of the configuration")
        return role

    @property
    def stated_in(self) -> str:
        """The files of experiments, for messages."""
        return ", ".join(self.experiments)

    def trained(self) -> list[str]:
        """Corpora that the roles train on."""
        return list(dict.fromkeys(map(self.corpus_of, TRAINED)))

    def validation_only(self, name: str) -> bool:
        """Whether the whole text of a corpus is held out."""
        return name in self.roles.out_of_domain and name not in self.trained()

    def earlier(self, name: str) -> list[str]:
        """Corpora whose texts are left out of `name`: those before it among the validation sets.

        The order is that of the roles, since the order of keys depends on how files were merged.
        """
        names = self.validations()
        return names[: names.index(name)] if name in names else names

    def validations(self) -> list[str]:
        """Names of the validation sets, general first, without repeats."""
        return list(dict.fromkeys([*self.trained(), *self.roles.out_of_domain]))

    def fitted(self) -> dict[Role, str]:
        """The two validation sets of a fit by role: D_pt and D_cpt."""
        return {role: self.corpus_of(role) for role in FITTED}


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Deep merge as Snakemake's --configfile does it: mappings merge, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def parse(raw: dict[str, Any], name: str) -> Config:
    """Check a merged configuration. A mistake raises `UserError` with the key's path."""
    for key in ("corpora", "models"):  # a scale drops a corpus or a model of the default by setting it to null
        if isinstance(raw.get(key), dict):
            raw = {**raw, key: {name: spec for name, spec in raw[key].items() if spec is not None}}
    try:
        return Config.model_validate(_numbers(raw))
    except ValidationError as error:
        raise UserError("; ".join(explain(e, name) for e in error.errors()[:3])) from None


def _numbers(value: Any) -> Any:
    """`value` with `1e-3` as a number: Snakemake's reader takes it for text."""
    if isinstance(value, dict):
        return {key: _numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_numbers(inner) for inner in value]
    return float(value) if isinstance(value, str) and SCIENTIFIC.fullmatch(value) else value


def explain(error: Any, name: str, keys: str = "config/README.md") -> str:
    """One of pydantic's errors as a line that names the file and the key; `keys` says which keys there are."""
    kinds = {"Model", "PretrainedModel", "[key]"}  # pydantic puts the tag of the chosen alternative into the path
    key = ".".join(str(part) for part in error["loc"] if part not in kinds)
    given, limits = error.get("input"), error.get("ctx", {}).values()
    if error["type"] == "extra_forbidden":
        return f"{name}: unknown key {key!r}: remove it or see {keys} for the keys there are"
    if error["type"] == "missing":
        return f"{name}: key {key!r} is missing"
    if error["type"] in ("float_type", "int_type") and isinstance(given, str):
        return f"{name}: {key} is the text {given!r}: give a number, without quotes and as 3.0e-3 with an exponent"
    if NAME in limits or (error["type"] == "string_too_long" and LONGEST_NAME in limits):
        return f"{name}: {key}: {given!r} is no name: {A_NAME}"
    text = str(error["msg"]).removeprefix("Value error, ")
    return f"{name}: {key}: {text}" if key else f"{name}: {text}"


DEEPEST = 50  # levels of a YAML file
MOST_VALUES = 10**6  # in a YAML file, with every alias written out


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Refuses what YAML takes without a word, a key that is there twice, and gives every mistake its line."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except Exception as error:  # what Python's types say of a date, a number or base64 that is none
            raise _at(node, one_line(error)) from error

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if key.tag != "tag:yaml.org,2002:merge" and str(key.value) in seen:
                raise _at(key, f"key {key.value!r} is there twice")
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", SCIENTIFIC, list("-+0123456789"))


def _at(place: Any, problem: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, place.start_mark)


def _check_size(text: str) -> None:
    """Refuse nesting that would exhaust the stack of the loader, and aliases of aliases that would fill the memory."""
    values, sizes = 0, dict[str | None, int]()
    above: list[tuple[str | None, int]] = []  # collections that the event lies in: anchor, values before it
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in dict(above):
                raise _at(event, f"*{event.anchor} stands within itself")
            values += sizes.get(event.anchor, 0)
        elif isinstance(event, yaml.NodeEvent):
            values += 1
        if isinstance(event, yaml.CollectionStartEvent):
            above.append((event.anchor, values))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = above.pop()
            sizes[anchor] = 1 + values - before
        if len(above) > DEEPEST:
            raise _at(event, f"nested more than {DEEPEST} levels deep")
        if values > MOST_VALUES:
            raise _at(event, f"more than {MOST_VALUES:,} values, with aliases written out")


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML mapping; a missing or damaged file raises `UserError` with the line at fault."""
    with reading(path, "valid YAML", "mend it there"):
        text = Path(path).read_text(encoding="utf-8")
        try:
            _check_size(text)
            loaded = yaml.load(text, _Loader)
        except yaml.YAMLError as error:
            raise ValueError(str(error).replace('in "<unicode string>", ', "at ")) from error
    if not isinstance(loaded, dict):
        raise UserError(f"{path}: expected a mapping of keys at the top level")
    return loaded


def load(paths: list[str | Path]) -> Config:
    """`config/config.yaml` with the files in `paths` laid over it, the last one on top."""
    raw = read_yaml(DEFAULT)
    for path in paths:
        raw = merge(raw, read_yaml(path))
    return parse(raw, str(paths[-1]) if paths else str(DEFAULT))
