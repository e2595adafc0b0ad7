"""The files of branches that are done, and whether they were trained from what is here now."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Branch
from cpt_dynamics.experiments.models import weights_digest
from cpt_dynamics.files import read_json
from cpt_dynamics.layout import Layout

RESULT = (".parquet", ".json")


def finished(branches: Iterable[Branch], config: Config) -> set[str]:
    """Those of the branches that were trained, from the text and weights that are here now."""
    return {branch.id for branch in branches if is_finished(branch, config)}


def is_finished(branch: Branch, config: Config) -> bool:
    files = result_of(branch.id, config)
    return all(file.exists() for file in files) and other_input(read_json(files[-1]), branch, config) is None


def result_of(branch: str, config: Config) -> list[Path]:
    """The files of a branch that is done: losses and manifest."""
    return [Layout(config).branch(branch).with_suffix(suffix) for suffix in RESULT]


def other_input(manifest: dict[str, Any], branch: Branch, config: Config) -> Path | None:
    """What is here but is not what the branch of a manifest was trained from: tokens or a folder of weights."""
    layout, text = Layout(config), manifest.get("text", {})
    for name in dict.fromkeys([*config.trained(), *branch.run.corpora]):
        if text.get(name) != index_of(layout.tokens(name, "train"))["sha256"]:
            return layout.tokens(name, "train")
    spec = config.models[branch.run.model]
    if manifest.get("weights") != weights_digest(spec):
        return Path(getattr(spec, "pretrained", branch.run.model))
    return None


def index_of(tokens: Path) -> dict[str, Any]:
    return dict(read_json(existing(tokens.with_suffix(".json"))))


def existing(path: Path) -> Path:
    if not path.exists():
        raise UserError(f"{path} does not exist: make it with `snakemake --cores all {path}`")
    return path
