"""Pretrained models in folders: which files decide what they compute."""

from pathlib import Path

from cpt_dynamics.config import Model, PretrainedModel
from cpt_dynamics.files import digest, sha256_once

PATTERNS = ("*.safetensors*", "config.json", "*.py")  # weights, shape, code of the model's own


def model_files(spec: Model | PretrainedModel) -> list[Path]:
    """The files of a model in a folder; none where the configuration alone says which weights are meant.

    That is so for a model that is initialised from a seed, and for a commit on the Hub.
    """
    if isinstance(spec, Model):
        return []
    folder = Path(spec.pretrained).expanduser()
    return sorted(file for pattern in PATTERNS for file in folder.glob(pattern))


def weights_digest(spec: Model | PretrainedModel) -> str | None:
    """Digest of `model_files`, None where there are none."""
    found = {file.name: sha256_once(file) for file in model_files(spec)}
    return digest(found) if found else None
