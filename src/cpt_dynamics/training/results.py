"""The files of branches that are done: whole, and trained from what is here now."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from cpt_dynamics.config import Config
from cpt_dynamics.corpora import index
from cpt_dynamics.errors import UserError, cause, printable
from cpt_dynamics.experiments import Branch
from cpt_dynamics.experiments.models import weights_digest
from cpt_dynamics.files import read_model, sha256
from cpt_dynamics.layout import Layout

RESULT = (".parquet", ".json")


class Start(BaseModel):
    """The checkpoint from which a training started."""

    model_config = ConfigDict(strict=True)

    step: int
    sha256: str


class Device(BaseModel):
    device: str


class Manifest(BaseModel):
    """What is stated of the losses of a branch, as far as the kit reads it again."""

    model_config = ConfigDict(strict=True)

    branch: str
    sha256: str
    parameters: int
    text: dict[str, str]
    weights: str | None = None  # older kits did not state this ...
    started_from: Start | None = None  # ... this ...
    checkpoints: dict[str, str] = {}  # ... and this
    steps_trained: int
    started: str
    finished: str
    wall_seconds: float
    tokens_per_second: float | None
    numerics: Device


def finished(branches: Iterable[Branch], config: Config) -> set[str]:
    """Those of the branches that are done, see `not_done`."""
    return {branch.id for branch in branches if is_finished(branch, config)}


def is_finished(branch: Branch, config: Config) -> bool:
    return not_done(branch, config) is None


def not_done(branch: Branch, config: Config) -> str | None:
    """Why a branch is not done; None if its losses are those of its manifest, and of the text and weights of now."""
    files = result_of(branch.id, config)
    if missing := [file for file in files if not file.exists()]:
        return f"{missing[0]} does not exist"
    try:
        found = manifest_of(files[0])
    except UserError as error:
        return cause(error)
    if found.branch != branch.id:
        return f"{files[-1]} is of {printable(found.branch, 60)}"
    changed = other_input(found.model_dump(), branch, config)
    return f"it was not trained from {changed} as it is now" if changed else None


def manifest_of(losses: Path) -> Manifest:
    """What is stated of the losses of a branch, which must be these; anything else raises `UserError`."""
    path = losses.with_suffix(".json")
    found = read_model(Manifest, path, f"delete it and {losses.name}, and train it again")
    if found.sha256 != sha256(losses):
        raise UserError(f"{losses} is not what its manifest states: delete it and train it again")
    return found


def whole(losses: Path) -> Manifest | None:
    """The same; None where losses are damaged, without a manifest or not there."""
    try:
        return manifest_of(losses) if losses.exists() else None
    except UserError:
        return None


def result_of(branch: str, config: Config) -> list[Path]:
    """The files of a branch that is done: losses and manifest."""
    return [Layout(config).branch(branch).with_suffix(suffix) for suffix in RESULT]


def other_input(manifest: Mapping[str, Any], branch: Branch, config: Config) -> Path | None:
    """What is here but is not what the branch of a manifest was trained from: tokens or a folder of weights."""
    layout, text = Layout(config), manifest.get("text", {})
    for name in dict.fromkeys([*config.trained(), *branch.run.corpora]):
        if text.get(name) != index_of(layout.tokens(name, "train")).sha256:
            return layout.tokens(name, "train")
    spec = config.models[branch.run.model]
    if manifest.get("weights") != weights_digest(spec):
        return Path(getattr(spec, "pretrained", branch.run.model))
    return None


def index_of(tokens: Path) -> index.Index:
    existing(tokens.with_suffix(".json"))
    return index.read(tokens)


def existing(path: Path) -> Path:
    if not path.exists():
        raise UserError(f"{path} does not exist: make it with `snakemake --cores all {path}`")
    return path
