"""Where and how arithmetic is done: device, precision, compilation, threads, determinism."""

import os
import shutil
import sysconfig
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from cpt_dynamics.config import Device
from cpt_dynamics.errors import UserError

GRAPHS = 256  # compiled for one process, at most


@dataclass(frozen=True)
class Numerics:
    """The resolved `device` section. Results are promised bit for bit only between equal ones (CPU)."""

    device: str
    precision: str
    compile: bool
    threads: int
    processes: int = 1
    sharding: str = "auto"
    micro_batch: int | None = None
    graphs: bool = False

    def describe(self) -> dict[str, Any]:
        """What a manifest records, and what a checkpoint's key covers."""
        name = torch.cuda.get_device_name() if self.device == "cuda" else "cpu"
        more = {name: getattr(self, name) for name in ("processes", "sharding", "micro_batch", "graphs")}
        usual = {field.name: field.default for field in fields(self)}
        return {
            "device": name,
            "precision": self.precision,
            "compile": self.compile,
            "threads": self.threads,
            "torch": torch.__version__,
            # Only where they are set, so that checkpoints of processes on their own keep their keys.
            **{key: value for key, value in more.items() if value != usual[key]},
        }


def resolve(device: Device) -> Numerics:
    """Settle every `auto` of the configuration on this machine and say what could not be had."""
    name = name_of(device)
    precision = device.precision
    if precision == "auto":
        precision = "bfloat16" if name == "cuda" else "float32"
    missing = missing_for_compilation()
    if device.compile in ("on", "graphs") and missing:
        raise UserError(f"device.compile is {device.compile}, but {missing}: install it or set device.compile to auto")
    if device.compile == "graphs" and name != "cuda":
        raise UserError("device.compile is graphs, which needs a CUDA GPU: set it to auto")
    if device.compile == "graphs" and (device.processes > 1 or device.micro_batch is not None):
        # Gradients that are added up would lie in memory that the next part's graph writes to.
        raise UserError("device.compile is graphs, which takes a batch as a whole in one process: set it to auto")
    if device.compile == "auto" and missing:
        print(f"training runs eagerly, without torch.compile: {missing}", flush=True)
    compiled = device.compile != "off" and not missing
    together = (device.processes, device.sharding, device.micro_batch)
    return Numerics(name, precision, compiled, device.threads, *together, graphs=device.compile == "graphs")


def name_of(device: Device) -> str:
    """`cuda` or `cpu`, for the `auto` of the configuration too."""
    if device.name == "cuda" and not torch.cuda.is_available():
        raise UserError("device.name is cuda, but torch finds no CUDA GPU here: set it to auto or cpu")
    return "cuda" if torch.cuda.is_available() and device.name != "cpu" else "cpu"


def missing_for_compilation() -> str | None:
    """What torch.compile lacks on this machine, or None."""
    if not any(shutil.which(compiler) for compiler in (os.environ.get("CXX", "g++"), "g++", "clang++")):
        return "no C++ compiler is found"
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return "Python's headers (Python.h) are not found"
    return None


def prepare(numerics: Numerics, cache: Path | None = None) -> None:
    """Set torch up for one training process; compiled code is kept in `cache` for the next one."""
    if cache is not None:
        # Set in any case: importing transformers has already settled on a folder for temporary files.
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache.resolve())
    torch.set_num_threads(numerics.threads)
    if numerics.compile:
        # Each shape of a batch and each size of a model is compiled by itself. After 8 of them torch would go on
        # eagerly, slower and with other last bits: a loss would depend on what else its process had trained.
        torch._dynamo.config.recompile_limit = GRAPHS
        torch._dynamo.config.fail_on_recompile_limit_hit = True
    if numerics.device == "cpu":
        torch.use_deterministic_algorithms(True)
        setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010  # a debugging aid that costs every allocation
