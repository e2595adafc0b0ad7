"""Branches of a plan trained in several processes at once, each on a device of its own."""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Protocol

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError, importing, leave, one_line
from cpt_dynamics.experiments import Branch, Plan
from cpt_dynamics.layout import Layout

SPAWN = multiprocessing.get_context("spawn")  # a forked process would share the state of torch
GRACE = 30.0  # seconds that processes have for leaving before they are killed


def gpus(config: Config) -> list[str]:
    """What CUDA_VISIBLE_DEVICES calls the GPUs that training may use; none where it runs on the CPU."""
    if config.device.name == "cpu":
        return []
    with importing():
        import torch  # takes seconds

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return named.split(",")[:count] if named else [str(number) for number in range(count)]


class Watch(Protocol):
    """Who limits the time of a training, and is told how it goes."""

    until: float  # of `time.monotonic`, when branches that are not done are ended

    def allows(self, branch: str) -> bool:
        """Whether a branch that could start now should."""

    def started(self, branch: str) -> None: ...

    def ended(self, branch: str, done: bool) -> None: ...


def train(
    branches: Iterable[Branch],
    plan: Plan,
    config: Config,
    processes: int,
    devices: list[str],
    watch: Watch | None = None,
    in_order: bool = False,
) -> list[str]:
    """Train branches in `processes` processes; the n-th is pinned to the n-th device, counted round and round.

    A branch starts when its parent is done; of those that can start, the one with the longest way below it comes
    first, or with `in_order` the first in the list. A branch that fails keeps back what starts from it and nothing
    else. What a branch prints is in `logs/train/<branch>.log`. Returns one line for every branch that could not be
    trained; one that was ended or not begun for want of time is not among them.
    """
    left = {branch.id: branch for branch in branches}
    slots = [devices[number % len(devices)] if devices else None for number in range(min(processes, len(left)))]
    with _running(slots, plan, config) as workers:
        return _Schedule(left, plan, Layout(config), watch, in_order).run(workers)


@dataclass
class _Schedule:
    """Which branches are waiting, done and failed."""

    waiting: dict[str, Branch]
    plan: Plan
    layout: Layout
    watch: Watch | None = None
    in_order: bool = False
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def run(self, workers: list["_Worker"]) -> list[str]:
        total = len(self.waiting)
        while True:
            for worker in workers:
                if worker.branch is None and (branch := self._next(workers)):
                    worker.start(branch)
                    if self.watch:
                        self.watch.started(branch)
            busy = {worker.connection: worker for worker in workers if worker.branch is not None}
            limit = max(0.0, self.watch.until - time.monotonic()) if self.watch else None
            answers = connection.wait(list(busy), limit) if busy else []
            if not answers:  # all is done, or the time is over
                return [f"{name}: {reason}" for name, reason in self.failed.items()]
            for ready in answers:
                worker = busy[ready]  # type: ignore[index]
                name, error = worker.result()
                if error is None:
                    self.done += 1
                    print(f"{name}: done ({self.done} of {total}, {worker.seconds:,.0f} s)", flush=True)
                else:
                    self._fail(name, error)
                if self.watch:
                    self.watch.ended(name, done=error is None)

    def _next(self, workers: list["_Worker"]) -> str | None:
        """Take the branch to train next, if the parent of any that waits is done."""
        missing = {*self.waiting, *(worker.branch for worker in workers if worker.branch)}
        ready = [name for name, branch in self.waiting.items() if branch.parent not in missing]
        if self.watch:
            ready = [name for name in ready if self.watch.allows(name)]
        if not ready:
            return None
        name = ready[0] if self.in_order else max(ready, key=self.plan.steps_below)
        del self.waiting[name]
        return name

    def _fail(self, name: str, error: str) -> None:
        """Note that a branch failed, and give up what starts from it, directly or not."""
        self.failed[name] = f"{error} ({log_of(name, self.layout)})"
        print(f"{name}: failed: {error}", flush=True)
        for other, branch in list(self.waiting.items()):  # parents come first
            if branch.parent in self.failed:
                del self.waiting[other]
                self.failed[other] = f"not trained, since {branch.parent} is not"


def log_of(branch: str, layout: Layout) -> Path:
    """What the training of a branch printed, as in the workflow."""
    return layout.root / "logs" / "train" / f"{branch}.log"


class _Worker:
    """A process that trains one branch after another; one that died is started anew for the next."""

    def __init__(self, device: str | None, plan: Plan, config: Config) -> None:
        self.arguments = (plan, config, device)
        self.branch: str | None = None
        self._launch()

    def _launch(self) -> None:
        self.connection, theirs = SPAWN.Pipe()
        self.process: SpawnProcess = SPAWN.Process(target=_work, args=(theirs, *self.arguments), daemon=True)
        self.process.start()
        theirs.close()  # so that the end of the process is the end of the pipe

    def start(self, branch: str) -> None:
        if not self.process.is_alive():
            self._launch()
        self.branch, self.began = branch, time.monotonic()
        with suppress(OSError):  # one that dies at this very moment is found at the other end of the pipe
            self.connection.send(branch)

    def result(self) -> tuple[str, str | None]:
        """(branch, None or what went wrong) once the connection is ready; the worker is free again."""
        assert self.branch is not None
        branch, self.branch = self.branch, None
        self.seconds = time.monotonic() - self.began
        try:
            error, ends = self.connection.recv()
            if ends:
                self.end(0.0)  # it has said all, and may wait long for compilers that it had started
            return branch, error
        except (EOFError, OSError):
            self.process.join()
            return branch, f"its process {_ended(self.process.exitcode)}"

    def end(self, grace: float) -> None:
        """Wait for the process to leave, at most `grace` seconds, and then kill it."""
        self.process.join(grace)
        self.process.kill()
        self.process.join()


def _ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed ({signal.Signals(-code).name}; SIGKILL often means that memory ran out)"
    return f"ended with exit code {code}"


@contextmanager
def _running(slots: list[str | None], plan: Plan, config: Config) -> Iterator[list[_Worker]]:
    """Workers, one a slot; whatever ends the block ends them, too."""
    workers: list[_Worker] = []
    before = signal.signal(signal.SIGTERM, leave)
    try:
        for device in slots:
            workers.append(_Worker(device, plan, config))
        yield workers
    finally:
        for worker in workers:
            worker.process.terminate()
        until = time.monotonic() + GRACE
        for worker in workers:
            worker.end(max(0.0, until - time.monotonic()))
        signal.signal(signal.SIGTERM, before)


# --- in the process of a worker ----------------------------------------------------------------------------------


def _work(orders: Connection, plan: Plan, config: Config, device: str | None) -> None:
    """Train the branches that are named over the connection, until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to every process; the first one decides
    signal.signal(signal.SIGTERM, leave)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    from cpt_dynamics.training import branch as training  # imports torch, which settles on the devices it can see

    layout, opened, ends = Layout(config), training.Opened(), False
    while not ends:
        try:
            name = orders.recv()
        except EOFError:
            return
        with _printing_to(log_of(name, layout)):
            error, ends = _caught(training.train, [plan.branches[name]], plan, config, skip_done=True, opened=opened)
        orders.send((error, ends))


def _caught(call: Callable[..., None], *arguments: Any, **options: Any) -> tuple[str | None, bool]:
    """Call; returns None or one line on what went wrong, of which more is printed, and whether this process must end.

    After an error of CUDA a process can use the GPU no more: only a mistake that the kit has found itself lets it live.
    """
    try:
        call(*arguments, **options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return str(error), False
    except Exception as error:  # one failed branch must not end the others
        traceback.print_exc()
        return f"{type(error).__name__}: {_short(one_line(error))}", True
    return None, False


def _short(message: str) -> str:
    """A message with its middle left out: that of a compiler names the cause at the end, after a traceback."""
    return message if len(message) <= 400 else f"{message[:100]} ... {message[-300:]}"


def _end_with_parent() -> None:
    """Two processes must not train one branch, so none goes on without the process that hands branches out."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def _printing_to(log: Path) -> Iterator[None]:
    """Let everything that the process prints go to the end of a file, compilers' messages included."""
    log.parent.mkdir(parents=True, exist_ok=True)
    kept = [os.dup(1), os.dup(2)]
    with log.open("ab") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, former in zip((1, 2), kept, strict=True):
            os.dup2(former, number)
            os.close(former)
