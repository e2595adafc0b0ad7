"""A plan cut into stages, each short enough for one slot on a machine that may start empty."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError, model_validator

from cpt_dynamics.config import Section, explain, read_yaml
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.branches import Plan
from cpt_dynamics.experiments.runs import Experiments, Run
from cpt_dynamics.files import Printed

REST = "rest"


class Group(Section):
    """Runs that belong together; those of the first group are trained first.

    They are those of `figures`, and `runs` as experiments.yaml names them, in all their sizes and seeds.
    """

    name: Printed
    figures: list[str] = Field([])
    runs: list[str] = Field([])
    models: list[str] | None = None
    seeds: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _some(self) -> "Group":
        if not self.figures and not self.runs:
            raise ValueError("list its figures or its runs")
        return self


class Groups(Section):
    groups: list[Group]


@dataclass(frozen=True)
class Stage:
    """Branches to train in one slot, parents first. What they start from is trained with them if it is not there."""

    number: int
    groups: tuple[Printed, ...]
    branches: tuple[str, ...]


@dataclass(frozen=True)
class Times:
    """Seconds that training takes: of each branch on its own, and of the start and compilation for each model."""

    branches: Mapping[str, float]
    start: float

    def of(self, branches: Iterable[str], plan: Plan) -> float:
        """Seconds of all these branches on one device, which those that share it divide among them."""
        names = list(branches)
        models = {plan.branches[name].run.model for name in names}
        return self.start * len(models) + sum(self.branches[name] for name in names)


def grouped(experiments: Experiments, plan: Plan, path: Path) -> dict[str, list[str]]:
    """Group -> its branches that no earlier group has, parents first, trunk after trunk.

    path: file of the groups; without one every figure is a group.
    """
    stated = _read(path) if path.exists() else [Group(name=name, figures=[name]) for name in experiments.figures]
    first = min((run.seed for run in experiments.runs.values()), default=0)
    members: dict[str, list[str]] = {}
    for group in stated:
        runs = [experiments.runs[name] for figure in group.figures for name in experiments.runs_of(figure)]
        runs += [run for name in group.runs for run in _repeats(name, experiments, path)]
        members.setdefault(group.name, []).extend(
            run.name
            for run in runs
            if (group.models is None or run.model in group.models)
            and (group.seeds is None or run.seed - first < group.seeds)
        )
    members[REST] = [*members.get(REST, []), *experiments.chosen(None)]
    found, earlier = {}, set[str]()
    for name, names in members.items():
        branches = [branch.id for branch in plan.needed(names) if branch.id not in earlier]
        earlier.update(branches)
        if branches:
            trunks = {branch: with_ancestors([branch], plan)[0] for branch in branches}
            order = list(dict.fromkeys(trunks.values()))
            found[name] = sorted(branches, key=lambda branch: order.index(trunks[branch]))
    return found


def _repeats(name: str, experiments: Experiments, path: Path) -> list[Run]:
    """A run in all its sizes and seeds."""
    found = [run for run in experiments.runs.values() if run.name.partition(".")[0] == name]
    if not found:
        raise UserError(f"{path}: a group names the run {name!r}, which is not in the experiments")
    return found


def _read(path: Path) -> list[Group]:
    try:
        return Groups.model_validate(read_yaml(path)).groups
    except ValidationError as error:
        raise UserError("; ".join(explain(one, str(path)) for one in error.errors()[:3])) from None


def with_ancestors(branches: Iterable[str], plan: Plan) -> list[str]:
    """These branches and all that they start from, parents first."""
    wanted: set[str] = set()
    for name in branches:
        above: str | None = name
        while above and above not in wanted:
            wanted.add(above)
            above = plan.branches[above].parent
    return [name for name in plan.branches if name in wanted]


def cut(groups: Mapping[str, list[str]], plan: Plan, times: Times, seconds: float, first: int = 1) -> list[Stage]:
    """Cut groups into stages, numbered from `first`, that each take no longer than `seconds` on an empty machine.

    A stage takes the first branch that is left, and then each further one, of its group and those after it, that fits
    with all that it starts from. A branch that is too long for any stage has one of its own.
    """
    left = {name: group for group, members in groups.items() for name in members}
    stages: list[Stage] = []
    while left:
        taken: list[str] = []
        for name in left:
            if not taken or times.of(with_ancestors([*taken, name], plan), plan) <= seconds:
                taken.append(name)
        of_groups = dict.fromkeys(left.pop(name) for name in taken)
        branches = tuple(name for name in plan.branches if name in taken)
        stages.append(Stage(first + len(stages), tuple(of_groups), branches))
    return stages
