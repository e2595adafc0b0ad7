"""The branch planner: runs merged into a prefix tree, so that shared steps are trained once."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cpt_dynamics.config import Config
from cpt_dynamics.experiments.runs import Run, steps_to_evaluate
from cpt_dynamics.files import digest

Chain = tuple[tuple[str, int], ...]  # (branch, last step taken from it), in the order of the steps


@dataclass(frozen=True)
class Branch:
    """One stretch of the tree: the steps `first + 1 ... last` of `run`, trained from the state after `first`.

    `forks` are the steps after which other branches leave this one.
    """

    id: str
    run: Run = field(repr=False)
    first: int
    last: int
    parent: str | None
    forks: tuple[int, ...]

    @property
    def steps(self) -> int:
        return self.last - self.first

    @property
    def tokens(self) -> int:
        return self.run.tokens(self.last) - self.run.tokens(self.first)


def saved_steps(branch: Branch, config: Config) -> set[int]:
    """Steps of a branch after which a checkpoint is written: a grid, where others leave, and its end."""
    every = config.checkpoint_every
    grid = range(every * (branch.first // every + 1), branch.last, every)
    return {*grid, *branch.forks, branch.last}


def measured_steps(branch: Branch, config: Config) -> dict[str, set[int]]:
    """Validation set -> steps of a branch after which its loss is measured: those of the scale, then the run's own.

    The state after `first` is measured, too, since the parent may not have been at the step where this one leaves it.
    A domain that is among the out-of-domain corpora, too, is one of them for CPT that does not read it.
    """
    run, start = branch.run, {branch.first} - {0}
    others = set(filter(config.validation_only, config.validations()))
    if run.continual:
        others |= set(config.roles.out_of_domain).difference(run.corpora)
    steps = {step for step in steps_to_evaluate(run, config) if step > branch.first} | start
    fewer = steps & (steps_to_evaluate(run, config, out_of_domain=True) | start)
    names = dict.fromkeys([*config.validations(), *run.corpora])
    return {name: fewer if name in others.difference(run.measured) else steps for name in names}


@dataclass(frozen=True)
class Plan:
    """All branches by id, parents before children, and the stretches that make up each run."""

    branches: dict[str, Branch]
    chains: dict[str, Chain]
    """By run, from its start to its end."""
    origins: dict[str, Chain]
    """The same with the first branch that does these steps, where a common start is too short to be shared."""

    def origin(self, run: str, steps: ArrayLike) -> NDArray[np.str_]:
        """The first branch that does each of these steps of a run: equal where two runs do the same up to there."""
        names, lasts = zip(*self.origins[run], strict=True)
        return np.array(names)[np.searchsorted(lasts, steps)]

    def needed(self, runs: Iterable[str]) -> list[Branch]:
        """The branches that make up these runs, parents first."""
        wanted = {branch for run in runs for branch, _ in self.chains[run]}
        return [branch for branch in self.branches.values() if branch.id in wanted]

    def steps_below(self, branch: str) -> int:
        """Steps of a branch and of the longest way on from it: where several can be trained, the most comes first."""
        children = [other.id for other in self.branches.values() if other.parent == branch]
        return self.branches[branch].steps + max(map(self.steps_below, children), default=0)

    @cached_property
    def steps_trained(self) -> int:
        return sum(branch.steps for branch in self.branches.values())


def plan(runs: Iterable[Run], config: Config) -> Plan:
    """Merge runs wherever model, seed, data and LR agree step for step.

    The first run in the list that contains a stretch owns it; later runs fork from it. So a run added at the end
    changes no branch there was. A common start shorter than `checkpoint_every` steps is trained twice: waiting for
    the other branch would cost more than those steps.
    """
    runs = list(runs)
    made: dict[str, dict[str, Any]] = {}
    chains: dict[str, Chain] = {}
    origins: dict[str, Chain] = {}
    for number, run in enumerate(runs):
        shared, owner = 0, None
        for other in runs[:number]:
            common = common_steps(run, other)
            if common > shared:
                shared, owner = common, other
        chain: Chain = ()
        origin = _upto(origins[owner.name], shared) if owner else ()
        if owner is None or (shared < min(config.checkpoint_every, run.steps)):
            shared = 0
        else:
            chain = _upto(chains[owner.name], shared)
        if shared < run.steps:
            if chain:
                made[chain[-1][0]]["forks"].add(shared)
            identity = branch_digest(run, shared, config)
            name = f"{run.name}-{identity[:10]}"
            made[name] = {
                "id": name,
                "run": run,
                "first": shared,
                "last": run.steps,
                "parent": chain[-1][0] if chain else None,
                "forks": set(),
            }
            chain, origin = (*chain, (name, run.steps)), (*origin, (name, run.steps))
        chains[run.name], origins[run.name] = chain, origin
    branches = {name: Branch(**{**b, "forks": tuple(sorted(b["forks"]))}) for name, b in made.items()}
    return Plan(branches, chains, origins)


def joined(plans: Iterable[Plan]) -> Plan:
    """The branches and runs of several plans; a branch that some of them have in common is left where any leaves it."""
    branches: dict[str, Branch] = {}
    chains: dict[str, Chain] = {}
    origins: dict[str, Chain] = {}
    for one in plans:
        for name, branch in one.branches.items():
            forks = {*branch.forks, *(branches[name].forks if name in branches else ())}
            branches[name] = replace(branch, forks=tuple(sorted(forks)))
        chains |= one.chains
        origins |= one.origins
    return Plan(branches, chains, origins)


def _upto(chain: Chain, step: int) -> Chain:
    """The part of a chain that covers the first `step` steps."""
    taken: list[tuple[str, int]] = []
    for branch, last in chain:
        taken.append((branch, min(last, step)))
        if last >= step:
            break
    return tuple(taken)


def common_steps(a: Run, b: Run) -> int:
    """Number of steps, from the first, on which two runs do exactly the same."""
    if (a.model, a.seed) != (b.model, b.seed):
        return 0
    length = min(a.steps, b.steps)
    different = np.flatnonzero(a.lr[:length] != b.lr[:length])
    if len(different):
        length = int(different[0])
    while length and data_stretches(a, length) != data_stretches(b, length):
        length = _shared_data(data_stretches(a, length), data_stretches(b, length))
    return length


def _shared_data(a: list[tuple[int, Any]], b: list[tuple[int, Any]]) -> int:
    shared = 0
    for (steps_a, data_a), (steps_b, data_b) in zip(a, b, strict=False):
        if data_a != data_b:
            break
        shared += min(steps_a, steps_b)
        if steps_a != steps_b:
            break
    return shared


def data_stretches(run: Run, steps: int) -> list[tuple[int, Any]]:
    """Run-length form of what the first `steps` steps read: [(steps, (mixture, sequences, length, base)), ...]."""
    stretches: list[tuple[int, Any]] = []
    left = steps
    for phase in run.phases:
        take = min(phase.steps, left)
        left -= take
        if take and stretches and stretches[-1][1] == phase.data:
            stretches[-1] = (stretches[-1][0] + take, phase.data)
        elif take:
            stretches.append((take, phase.data))
    return stretches


def prefix_digest(run: Run, steps: int, config: Config, more: Any = None) -> str:
    """Hash of all that the state of a run after `steps` steps depends on.

    `more` adds what is known only when training starts: hashes of the token files, the resolved device and
    precision, library versions.
    """
    spec = {
        "model": config.models[run.model].model_dump(exclude={"parameters"}),  # an estimate
        "optimizer": config.optimizer.model_dump(exclude={"peak_lr"}),
        "seed": run.seed,
        "device": config.device.model_dump(),
        "data": data_stretches(run, steps),
        "lr": hashlib.sha256(run.lr[:steps].astype("<f8").tobytes()).hexdigest(),
        "more": more,
    }
    return digest(spec)


def branch_digest(run: Run, first: int, config: Config) -> str:
    """Hash that names a branch: its whole past, its end, its text and its evaluations."""
    used = {corpus for _, data in data_stretches(run, run.steps) for corpus, _ in data[0]}
    names = sorted(used | set(config.validations()))
    text = {
        # Whether `local` text is read from a folder or made by what stands in for it, its manifest tells.
        "corpora": {name: config.corpora[name].model_dump(exclude={"otherwise"}) for name in names},
        "split": config.split.model_dump(),
        "tokenizer": config.tokenizer.model_dump(),
        "evaluation": config.evaluation.model_dump(),
        "first": first,
        **({"measured": sorted(run.measured)} if run.measured else {}),
    }
    return prefix_digest(run, run.steps, config, text)
