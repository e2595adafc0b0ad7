"""Checkpoints that are whole or absent: weights and optimizer state as safetensors, the rest as JSON."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cpt_dynamics import __version__
from cpt_dynamics.errors import UserError, cause
from cpt_dynamics.files import atomic, is_sealed, read_json, read_model, reading, sealed, sha256
from cpt_dynamics.training import distributed

STATE = "state.safetensors"
META = "checkpoint.json"
MOMENTS = {"step", "exp_avg", "exp_avg_sq"}  # what AdamW keeps of a parameter


class Damaged(UserError):
    """A checkpoint that is not as it was written."""


class Meta(BaseModel):
    """`checkpoint.json`, as far as it is read again."""

    model_config = ConfigDict(strict=True)

    key: str
    step: int = Field(ge=1)
    rng: str
    sha256: str | None = None  # of the state; older kits did not state it

    @field_validator("rng")
    @classmethod
    def _is_state(cls, value: str) -> str:
        try:
            torch.Generator().set_state(_bytes(value))
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"no state of a generator of random numbers: {error}") from None
        return value


def _bytes(text: str) -> Tensor:
    return torch.frombuffer(bytearray.fromhex(text), dtype=torch.uint8)


@dataclass(frozen=True)
class Store:
    """A folder of checkpoints, each named by the hash of everything that its state depends on."""

    folder: Path

    def path(self, key: str) -> Path:
        return self.folder / key[:20]

    def has(self, key: str) -> bool:
        return (self.path(key) / META).exists()

    def save(self, key: str, step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Write the state after `step`, in place of an older checkpoint with the same key.

        All processes that train together call it, since each may hold a part; the first one writes.
        """
        state = _state(model, optimizer)
        if not distributed.first():
            return
        meta = {
            "key": key,
            "step": step,
            "cursor": step,  # the batch of a step is a function of its number: this is all of the data position
            "rng": torch.get_rng_state().numpy().tobytes().hex(),
            "version": __version__,
        }
        with atomic(self.path(key)) as folder:
            folder.mkdir()
            save_file(state, folder / STATE)
            meta["sha256"] = sha256(folder / STATE)
            (folder / META).write_text(json.dumps(sealed(meta), indent=1) + "\n", encoding="utf-8")

    def digest(self, key: str) -> str:
        """sha256 of a checkpoint's weights and optimizer state, as it was written."""
        return self._meta(key).sha256 or sha256(self.path(key) / STATE)

    def stated(self, key: str) -> str | None:
        """The same; None where there is no checkpoint, or no word on it that can be read."""
        try:
            return self.digest(key) if self.has(key) else None
        except UserError:
            return None

    def load(self, key: str, model: nn.Module, optimizer: torch.optim.Optimizer | None) -> int:
        """Put a checkpoint's state into a model and its optimizer and return its step.

        One that is not as it was written raises `Damaged` before anything is put in place.
        """
        folder = self.path(key)
        # It is read twice, and the first of several processes decides for all.
        damage = distributed.agreed(self.damage(key, model) if distributed.first() else None)
        if damage is not None:
            raise Damaged(f"{folder} is damaged ({damage}): delete it and run again")
        meta = self._meta(key)
        if meta.key != key:
            raise UserError(f"{folder} is a checkpoint of another configuration: delete it and run again")
        _restore(load_file(folder / STATE), model, optimizer)
        torch.set_rng_state(_bytes(meta.rng))
        return meta.step

    def damage(self, key: str, model: nn.Module | None = None) -> str | None:
        """What is wrong with a checkpoint, compared with its digest and with the model; None if it is whole."""
        file = self.path(key) / STATE
        try:
            meta = self._meta(key)
            if meta.key != key:
                return None  # whole, though another's
            if not file.is_file():
                return f"{STATE} is missing"
            if meta.sha256 not in (None, sha256(file)):
                return f"{STATE} is not what {META} states"
            return _misfit(_shapes(file), model) if model is not None else None
        except UserError as error:
            return cause(error)
        except OSError as error:  # of a disk that fails
            return f"{STATE} cannot be read ({error.strerror})"

    def _meta(self, key: str) -> Meta:
        path = self.path(key) / META
        if not is_sealed(read_json(path)):
            raise UserError(f"{path} is not what was written: delete {path.parent} and run again")
        return read_model(Meta, path, f"delete {path.parent} and run again")


def _shapes(file: Path) -> dict[str, torch.Size]:
    """Shape of every tensor of a file, of which only the header is read."""
    with reading(file, "a file of tensors"), safe_open(file, "pt") as state:
        return {name: torch.Size(state.get_slice(name).get_shape()) for name in state.keys()}  # noqa: SIM118


def _misfit(shapes: dict[str, torch.Size], model: nn.Module) -> str | None:
    """The first tensor of a state that a model lacks or that has another shape, or that is missing."""
    for name, parameter in model.named_parameters():
        kinds = {key.split("/", 1)[0] for key in shapes if key.endswith(f"/{name}")}
        for kind in {"weight", *(MOMENTS if kinds & MOMENTS else ())}:
            expected = torch.Size() if kind == "step" else parameter.shape
            if shapes.pop(f"{kind}/{name}", None) != expected:
                return f"{kind} of {name} is not there or of another shape"
    return f"{next(iter(shapes))} is of no parameter" if shapes else None


def _state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The whole state, on the CPU of the first process."""
    # named_parameters gives a tied weight once, which is what safetensors wants.
    state: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        for kind, value in {"weight": parameter.detach(), **optimizer.state[parameter]}.items():
            whole = distributed.gathered(value)
            if distributed.first():
                state[f"{kind}/{name}"] = whole.cpu().contiguous()
    return state


def _restore(state: dict[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer | None) -> None:
    for name, parameter in model.named_parameters():
        with torch.no_grad():
            parameter.copy_(distributed.laid_out(state[f"weight/{name}"], parameter))
        if optimizer is None:
            continue
        kinds = [key.split("/", 1)[0] for key in state if key.endswith(f"/{name}")]
        optimizer.state[parameter] = {
            kind: distributed.laid_out(state[f"{kind}/{name}"], parameter) for kind in kinds if kind != "weight"
        }
