"""Finished branches in a folder that can be committed: what was measured once is trained on no machine again."""

import os
import shutil
from pathlib import Path

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Plan
from cpt_dynamics.files import atomic, sha256, sync_folder
from cpt_dynamics.layout import Layout
from cpt_dynamics.slots.results import Taken, check_parents, check_result
from cpt_dynamics.training.results import RESULT, finished, is_finished, result_of


def pack(folder: Path, plan: Plan, config: Config) -> list[str]:
    """Copy losses and manifests of the branches that are done here into a folder; returns those that were not there.

    A branch that is there with other losses raises `UserError`: what is measured is not replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    new = []
    for branch in plan.branches.values():
        if not is_finished(branch, config):
            continue
        files = result_of(branch.id, config)
        if all((folder / file.name).exists() for file in files):
            if sha256(folder / files[0].name) != sha256(files[0]):
                raise UserError(f"{folder / files[0].name} has other losses than {files[0]}: delete one of the two")
            continue
        for file in files:
            _copy(file, folder / file.name)
        new.append(branch.id)
    return new


def restore(folder: Path, plan: Plan, config: Config) -> Taken:
    """Put the branches of a folder in their places, as done work, with the checks of `results.take_results`.

    Branches of another plan are left where they are.
    """
    layout = Layout(config)
    there = [name for name in plan.branches if all((folder / f"{name}{end}").exists() for end in RESULT)]
    if not there:
        raise UserError(f"{folder} has no branch of this configuration: see `cpt-dynamics plan`")
    for name in there:
        check_result(folder, folder, plan.branches[name], config, other=False)
    done = finished(plan.branches.values(), config)
    check_parents(folder, there, done, plan)
    new = [name for name in there if name not in done]
    layout.branch("").parent.mkdir(parents=True, exist_ok=True)
    for name in there:  # parents first: Snakemake takes for done what is no older than what it is made from
        for file in result_of(name, config):
            if name in new:
                _copy(folder / file.name, file)
            os.utime(file)
    sync_folder(layout.branch("").parent)
    return Taken(there, new, {})


def _copy(file: Path, to: Path) -> None:
    with atomic(to) as temporary:
        shutil.copyfile(file, temporary)
