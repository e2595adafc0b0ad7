"""Checkpoints that are whole or absent: weights and optimizer state as safetensors, the rest as JSON."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cpt_dynamics import __version__
from cpt_dynamics.errors import UserError
from cpt_dynamics.files import atomic, read_json, sha256
from cpt_dynamics.training import distributed

STATE = "state.safetensors"
META = "checkpoint.json"


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
            (folder / META).write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")

    def digest(self, key: str) -> str:
        """sha256 of a checkpoint's weights and optimizer state, as it was written."""
        stated = read_json(self.path(key) / META).get("sha256")  # older ones do not state it
        return str(stated or sha256(self.path(key) / STATE))

    def load(self, key: str, model: nn.Module, optimizer: torch.optim.Optimizer | None) -> int:
        """Put a checkpoint's state into a model and its optimizer and return its step."""
        folder = self.path(key)
        meta = read_json(folder / META)
        if meta.get("key") != key:
            raise UserError(f"{folder} is a checkpoint of another configuration: delete it and run again")
        try:
            state = load_file(folder / STATE)
        except (SafetensorError, FileNotFoundError) as error:
            raise UserError(f"{folder / STATE} is damaged ({error}): delete {folder} and run again") from None
        _restore(state, model, optimizer, folder)
        torch.set_rng_state(torch.frombuffer(bytearray.fromhex(meta["rng"]), dtype=torch.uint8))
        return int(meta["step"])


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


def _restore(state: dict[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer | None, folder: Path) -> None:
    for name, parameter in model.named_parameters():
        saved = state.get(f"weight/{name}")
        if saved is None or saved.shape != parameter.shape:
            raise UserError(f"{folder} does not fit the model ({name}): it is a checkpoint of another model")
        with torch.no_grad():
            parameter.copy_(distributed.laid_out(saved, parameter))
        if optimizer is None:
            continue
        kinds = [key.split("/", 1)[0] for key in state if key.endswith(f"/{name}")]
        optimizer.state[parameter] = {
            kind: distributed.laid_out(state[f"{kind}/{name}"], parameter) for kind in kinds if kind != "weight"
        }
