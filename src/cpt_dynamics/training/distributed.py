"""Several processes, one a GPU, that train one branch together, and batches taken in parts."""

import contextlib
import os
import shlex
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.distributed_c10d import Store
from torch.distributed.fsdp import fully_shard
from torch.distributed.rendezvous import rendezvous
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from cpt_dynamics.config import Config, Device
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Run
from cpt_dynamics.training.device import Numerics, name_of
from cpt_dynamics.training.model import TokenLoss

STATE_BYTES = 16  # a parameter in float32: the weight, its gradient and the two moments of AdamW
TIMEOUT = timedelta(minutes=30)  # the others wait while the first process writes a checkpoint

T = TypeVar("T")


def world() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def first() -> bool:
    """Whether this process is the one that prints and writes."""
    return not dist.is_initialized() or dist.get_rank() == 0


@contextlib.contextmanager
def together(config: Config, runs: Iterable[Run]) -> Iterator[None]:
    """Join the processes that torchrun started until all are done with the block; the first alone prints.

    Raises `UserError` where their number is not `device.processes` or a batch of a run cannot be shared evenly.
    Where processes fail, one of them says why and the others end without a word.
    """
    store: Store | None = None
    try:
        _check_shares(config, runs)
        _check_launch(config.device)
        if config.device.processes > 1:
            store = _join(config.device)
        with (
            open(os.devnull, "w", encoding="utf-8") as nowhere,
            contextlib.redirect_stdout(sys.stdout if first() else nowhere),
        ):
            yield
        if store is not None:
            dist.barrier()  # what the first process writes is there for all
            dist.destroy_process_group()
    except Exception as error:
        if not _is_spokesman(store):
            time.sleep(10)  # torchrun ends this process as soon as the one that speaks is gone
            raise SystemExit(2) from None
        if _is_lost_peer(error):
            text = "another process that trains this branch was ended: run again, it goes on from the last checkpoint"
            raise UserError(text) from None
        raise


def _check_shares(config: Config, runs: Iterable[Run]) -> None:
    processes = config.device.processes
    sizes = {f"phase {n} ({p.phase}) of {r.name}": p.batch.sequences for r in runs for n, p in enumerate(r.phases, 1)}
    sizes["validation"] = config.batch.sequences
    for where, sequences in sizes.items():
        if sequences % processes:
            raise UserError(
                f"{where}: a batch of {sequences} sequences cannot be shared evenly by {processes} processes: make "
                "batch.sequences (times the phase's batch_factor) a multiple of device.processes"
            )


def _check_launch(device: Device) -> None:
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started == device.processes:
        return
    if started == 1:
        command = f"torchrun --standalone --nproc-per-node {device.processes} -m cpt_dynamics"
        raise UserError(
            f"device.processes is {device.processes}: start them with `{command} {shlex.join(sys.argv[1:])}`"
        )
    raise UserError(
        f"{started} processes were started, but device.processes is {device.processes}: make the two the same"
    )


def _join(device: Device) -> Store:
    gpu = None
    if name_of(device) == "cuda":
        local = int(os.environ["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            there = torch.cuda.device_count()
            raise UserError(f"torch finds {there} GPUs here, too few for a process on each: lower device.processes")
        gpu = torch.device("cuda", local)
        torch.cuda.set_device(gpu)
    store, rank, size = next(rendezvous("env://", timeout=TIMEOUT))
    dist.init_process_group(
        "nccl" if gpu else "gloo", store=store, rank=rank, world_size=size, timeout=TIMEOUT, device_id=gpu
    )
    return store


def _is_spokesman(store: Store | None) -> bool:
    """Whether this process was the first to fail; before processes have met, all fail alike."""
    if store is None:
        return os.environ.get("RANK", "0") == "0"
    return int(store.add("failed", 1)) == 1


def _is_lost_peer(error: Exception) -> bool:
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo/transport" in str(error))


def agreed(value: T) -> T:
    """What the first process found, in all of them. None goes on before the first one has come here."""
    if world() == 1:
        return value
    found = [value]
    dist.broadcast_object_list(found, src=0)
    return found[0]


def mean(values: Tensor) -> Tensor:
    """Mean over the processes, element by element."""
    if world() == 1:
        return values
    total = values.clone()
    dist.all_reduce(total)
    return total / world()


def share(batch: Tensor) -> Tensor:
    """The rows of a batch that this process takes: as many as every other one, in their order."""
    return batch if world() == 1 else batch.chunk(world())[dist.get_rank()]


def micro_batches(batch: Tensor, size: int | None) -> list[tuple[Tensor, float]]:
    """Parts of at most `size` rows, each with its share of the rows, which is its weight in a mean."""
    parts = [batch] if size is None else batch.split(size)
    return [(part, len(part) / len(batch)) for part in parts]


def place(module: TokenLoss, numerics: Numerics, compiled: bool) -> nn.Module:
    """Put a model where it is trained, on the device whole or in shards, and let its gradients be averaged."""
    if _in_shards(module, numerics):
        return _shard(module, numerics, compiled)
    whole: nn.Module = module.to(numerics.device)
    if compiled:
        mode = "reduce-overhead" if numerics.graphs else None
        whole = torch.compile(whole, dynamic=False, mode=mode)  # type: ignore[assignment]
    return DistributedDataParallel(whole, gradient_as_bucket_view=True) if world() > 1 else whole


def _in_shards(module: nn.Module, numerics: Numerics) -> bool:
    if world() == 1 or numerics.sharding != "auto":
        return world() > 1 and numerics.sharding == "full"
    if numerics.device != "cuda":
        return False
    memory = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
    return STATE_BYTES * sum(p.numel() for p in module.parameters()) > memory / 2


def _shard(module: TokenLoss, numerics: Numerics, compiled: bool) -> nn.Module:
    """FSDP2: the layers that transformers says must not be split, one by one, and the rest as the root."""
    mesh = init_device_mesh(numerics.device, (world(),))
    names = set(module.model._no_split_modules or ())
    for layer in [layer for layer in module.modules() if type(layer).__name__ in names]:
        if compiled:
            layer.compile(dynamic=False)
        fully_shard(layer, mesh=mesh)
    # Without resharding, the root's parameters would be no shards after a validation, when a checkpoint is written.
    fully_shard(module, mesh=mesh, reshard_after_forward=True)
    return module


def accumulating(token_loss: nn.Module, more: bool) -> AbstractContextManager[None]:
    """Gradients stay in each process while `more` micro-batches of the step follow.

    Those of shards do not: every micro-batch's are averaged at once, since a process has no room for whole ones.
    """
    if more and isinstance(token_loss, DistributedDataParallel):
        return token_loss.no_sync()
    return contextlib.nullcontext()


def gathered(tensor: Tensor) -> Tensor:
    """The whole of a tensor; all processes take part where it is in shards."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def laid_out(tensor: Tensor, parameter: Tensor) -> Tensor:
    """A whole tensor on the device of a parameter, or this process's shard of it where the parameter is in shards."""
    tensor = tensor.to(parameter.device)
    if isinstance(parameter, DTensor) and tensor.shape == parameter.shape:
        return distribute_tensor(tensor, parameter.device_mesh, parameter.placements, src_data_rank=None)
    return tensor
