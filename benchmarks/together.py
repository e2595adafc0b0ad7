"""Several processes that train on one device at the same time: whether sharing it pays."""

import itertools
import statistics
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import BrokenBarrierError
from typing import Any

import numpy as np
import torch

from benchmarks.training import SKIPPED, Clock, Variant, Work, medians, now
from cpt_dynamics.errors import UserError
from cpt_dynamics.training import device

SPAWN = get_context("spawn")  # a forked process would share the state of torch


@dataclass(frozen=True)
class Timed:
    """What a process measured: seconds of its first step, and (steps, seconds) at the edges of its blocks."""

    first: float
    edges: list[tuple[int, float]]


def together(work: Work, counts: Sequence[int], rounds: int) -> dict[str, Any]:
    """Tokens per second of 1 process and of each number of processes that train at the same time: medians over rounds.

    All of them have compiled and warmed up when the clock starts, and none stops before the slowest has taken
    `work.steps` steps; the tokens of all are counted over the time in which all were training.
    """
    speeds: dict[int, list[float]] = {count: [] for count in sorted({1, *counts})}
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(rounds):
            for count, found in speeds.items():
                found.append(total_steps(_run(work, count, Path(cache))) * work.batch_tokens)
                print(f"{count} at the same time: {found[-1]:,.0f} tokens/s", file=sys.stderr, flush=True)
    rows = {}
    for count, found in speeds.items():
        speed, one = statistics.median(found), statistics.median(speeds[1])
        rows[str(count)] = {**medians(found), "each": round(speed / count), "ratio": round(speed / one, 3)}
    return {"processes": rows, **work.describe(), "rounds": rounds}


def total_steps(processes: Sequence[Timed]) -> float:
    """Steps a second of all processes together, over the time from the last one's start to the first one's end."""
    start, end = max(p.edges[0][1] for p in processes), min(p.edges[-1][1] for p in processes)
    taken = 0.0
    for process in processes:
        steps, seconds = zip(*process.edges, strict=True)
        taken += float(np.interp(end, seconds, steps) - np.interp(start, seconds, steps))
    return taken / (end - start)


def first_steps(work: Work) -> dict[str, float]:
    """Seconds of the first step of a process that finds nothing compiled (`cold`), and of one that does (`warm`)."""
    with tempfile.TemporaryDirectory() as cache:
        return {name: round(_run(work, 1, Path(cache))[0].first, 3) for name in ("cold", "warm")}


def _run(work: Work, count: int, cache: Path) -> list[Timed]:
    """Train in `count` new processes at the same time; `UserError` where they do not fit."""
    meeting = (SPAWN.Barrier(count), SPAWN.Value("i", 0))
    with ProcessPoolExecutor(count, SPAWN, _join, meeting) as pool:
        futures = [pool.submit(_train, work, cache) for _ in range(count)]
    errors = [error for error in (future.exception() for future in futures) if error]
    causes = [error for error in errors if not isinstance(error, BrokenBarrierError)]
    for error in causes or errors:
        if isinstance(error, torch.OutOfMemoryError | BrokenProcessPool):
            raise UserError(f"{count} processes do not fit in memory at once, or one was killed: try fewer") from error
        raise error
    return [future.result() for future in futures]


_meeting: "tuple[Barrier, Synchronized[int]]"


def _join(barrier: Barrier, done: "Synchronized[int]") -> None:
    """Tell a new process where the others wait, and how many of them have taken their steps."""
    global _meeting
    _meeting = (barrier, done)


def _train(work: Work, cache: Path) -> Timed:
    barrier, done = _meeting
    try:
        device.prepare(work.numerics, cache)
        one, clock = Variant(work.numerics).stepper(work), Clock(work, ready=barrier.wait)
        began = now(work.numerics.device)
        first = 0.0
        for number in itertools.count(1):
            one(number)
            if number == 1:
                first = now(work.numerics.device) - began
            clock.tick()
            if number == SKIPPED + work.steps:
                with done.get_lock():
                    done.value += 1
            if done.value == barrier.parties or barrier.broken:
                break
    except BaseException:
        barrier.abort()  # the others would wait for ever
        raise
    clock.mark()
    return Timed(first, clock.edges)
