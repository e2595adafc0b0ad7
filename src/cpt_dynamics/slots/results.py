"""Bundles in which branches come home from the machine that trained them."""

import os
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from cpt_dynamics import __version__
from cpt_dynamics.config import Config
from cpt_dynamics.curves.assemble import losses_of
from cpt_dynamics.errors import UserError, cause
from cpt_dynamics.experiments import Branch, Plan
from cpt_dynamics.files import atomic, digest, passing, sha256, sync_folder
from cpt_dynamics.layout import Layout
from cpt_dynamics.slots.archive import write_tar
from cpt_dynamics.slots.stages import with_ancestors
from cpt_dynamics.training.results import (
    RESULT,
    Manifest,
    existing,
    finished,
    is_finished,
    manifest_of,
    other_input,
    result_of,
    whole,
)
from cpt_dynamics.training.work import CONTENTS, Contents, Records, trained_again

# --- there -------------------------------------------------------------------------------------------------------


def pack_results(
    out: Path, plan: Plan, config: Config, names: Iterable[str] | None = None, records: Records | None = None
) -> list[str]:
    """Write the bundle of the branches `names`, or of all that are done here; returns their names.

    In an unpacked bundle, those that were trained again since others start from them are not among the latter. All
    that they start from is packed besides, so that it is known there which training of it that was. records: what to
    say of the training of a branch besides its manifest.
    """
    if names is None:
        for name in plan.branches:
            if all(file.exists() for file in result_of(name, config)):
                manifest_of(result_of(name, config)[0])
        done = finished(plan.branches.values(), config) - trained_again()
        names = [name for name in plan.branches if name in done]
    chosen = list(names)
    if not chosen:
        raise UserError("no branch is done here: `cpt-dynamics train --plan` trains them")
    above = [name for name in with_ancestors(chosen, plan) if name not in chosen]
    instances = [name for name in above if is_finished(plan.branches[name], config)]
    files: dict[str, Path] = {}
    for name in [*chosen, *instances]:
        files |= {f"branches/{file.name}": file for file in result_of(name, config)}
    contents = Contents(
        kit=__version__,
        kind="results",
        scale=config.scale,
        branches=chosen,
        instances=instances,
        records={name: record for name, record in (records or {}).items() if name in chosen},
    )
    with atomic(out) as temporary, tarfile.open(temporary, "w") as tar:
        write_tar(tar, f"{config.scale}-results", contents.of(files), files)
    return chosen


# --- at home -----------------------------------------------------------------------------------------------------


class Taken(NamedTuple):
    """What bundles of results held: their branches, those that were not done here, and what they say of them."""

    names: list[str]
    new: list[str]
    records: Records


def take_results(bundle: Path, plan: Plan, config: Config, keep_others: bool = False) -> Taken:
    """Put the branches of a bundle of results in their places, as done work.

    Everything is checked before anything is put in place: sizes and digests, that each branch is one of the plan and
    was trained from the text that is here, that what it starts from is done, and that none is here with other losses.
    Branches are dated anew, parents first, since Snakemake takes for done what is no older than what it is made from.

    What they started from is kept beside that which is here (`Layout.instances`) if its checkpoints are others, for
    their curves; it takes its place if there is none. keep_others: the same goes for branches that are here with other
    losses, instead of an error.
    """
    folder = Layout(config).branch("").parent
    existing(Layout(config).tokenizer)
    folder.mkdir(exist_ok=True)
    with passing(folder, "unbundle") as staging:
        contents = _unpack(bundle, staging, plan, config)
        came = [*contents.branches, *contents.instances]
        for name in came:
            check_losses(bundle, staging, plan.branches[name], config)
        before = finished([plan.branches[name] for name in with_ancestors(came, plan)], config)
        kept = came if keep_others else contents.instances
        others = [name for name in kept if name in before and _is_other(staging / f"{name}.parquet", name, config)]
        lacking = set(contents.instances) - before
        names = [name for name in plan.branches if name in {*contents.branches, *lacking} - set(others)]
        for name in [*names, *others]:
            check_result(bundle, staging, plan.branches[name], config, other=name in others)
        check_parents(bundle, names, before, plan)
        new = [name for name in names if name not in before]
        for name in others:
            _keep_instance(staging / f"{name}.parquet", folder.with_name("instances"))
        for name in names:
            for file in result_of(name, config):
                if name in new:
                    os.replace(staging / file.name, file)
                os.utime(file)
        sync_folder(folder)
    return Taken(names, new, contents.records)


def check_parents(where: Path, names: Iterable[str], done: set[str], plan: Plan) -> None:
    """Raise `UserError` unless what branches start from is among them or done here."""
    for name in names:
        parent = plan.branches[name].parent
        if parent and parent not in done.union(names):
            raise UserError(f"{where}: {name} starts from {parent}, which is neither in it nor done here")


def _is_other(losses: Path, branch: str, config: Config) -> bool:
    """Whether a branch that is done here was trained another time, which wrote other checkpoints."""
    path, _ = result_of(branch, config)
    here, there = (manifest_of(file).checkpoints for file in (path, losses))
    if steps := here.keys() & there.keys():
        return any(here[step] != there[step] for step in steps)
    return sha256(path) != sha256(losses)


def _keep_instance(losses: Path, folder: Path) -> None:
    """Keep another training of a branch, named by its checkpoints; one that does not state them is of no use."""
    checkpoints = manifest_of(losses).checkpoints
    if not checkpoints:
        return
    folder.mkdir(exist_ok=True)
    for suffix in reversed(RESULT):  # a manifest alone is no instance
        os.replace(losses.with_suffix(suffix), folder / f"{losses.stem}.{digest(checkpoints)[:12]}{suffix}")
    sync_folder(folder)


def _unpack(bundle: Path, staging: Path, plan: Plan, config: Config) -> Contents:
    """Write the files of a bundle of results, which must be as `bundle.json` states them, into a folder."""
    try:
        with tarfile.open(bundle, "r:") as tar:
            first = tar.next()
            inside = Path(first.name).parts if first else ()
            if first is None or len(inside) != 2 or inside[1] != CONTENTS.name or not first.isreg():
                raise UserError(f"{bundle} does not begin with {CONTENTS}: it is no bundle")
            contents = Contents.parse(_read(tar, first), str(bundle))
            _check_contents(bundle, contents, plan, config)
            left = {f"{inside[0]}/{member.path}": member for member in contents.members}
            while member := tar.next():
                stated = left.pop(member.name, None)
                if stated is None or not member.isreg():
                    raise UserError(f"{bundle} holds {member.name!r}, which its {CONTENTS} does not state: not taken")
                path = staging / Path(member.name).name
                with atomic(path) as temporary:
                    temporary.write_bytes(_read(tar, member))
                if not stated.fits(path):
                    raise UserError(f"{bundle}: {member.name} is damaged: copy the bundle again")
    except FileNotFoundError:
        raise UserError(f"{bundle} does not exist") from None
    except tarfile.TarError as error:
        raise UserError(f"{bundle} is cut, damaged or no bundle ({error}): copy it again") from None
    if left:
        raise UserError(f"{bundle} is cut or damaged: {next(iter(left))} is missing: copy it again")
    return contents


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None  # it is a regular file
    return file.read()


def _check_contents(bundle: Path, contents: Contents, plan: Plan, config: Config) -> None:
    """Raise `UserError` unless `bundle.json` is that of a bundle of results of this configuration."""
    if contents.kind != "results":
        raise UserError(f"{bundle} is work to be trained, no results: unpack it with tar on the other machine")
    if contents.scale != config.scale:
        raise UserError(
            f"{bundle} has results of the scale {contents.scale!r}, the configuration is of {config.scale!r}:"
            " give the --configfile that its work was packed with"
        )
    came = [*contents.branches, *contents.instances]
    if foreign := [name for name in came if name not in plan.branches]:
        raise UserError(
            f"{bundle}: {foreign[0]} is no branch of this configuration ({len(foreign)} of {len(contents.branches)} are"
            " not): its work was packed with another one, see `cpt-dynamics plan`"
        )
    if {member.path for member in contents.members} != {
        f"branches/{name}{suffix}" for name in came for suffix in RESULT
    }:
        raise UserError(f"{bundle}: its {CONTENTS} does not state the files of its branches: pack it again")


def check_losses(bundle: Path, staging: Path, branch: Branch, config: Config) -> Manifest:
    """The manifest of a branch; `UserError` unless its losses are those, and all that the plan has."""
    try:
        return losses_of(staging / f"{branch.id}.parquet", branch, config)[1]
    except UserError as error:
        raise UserError(f"{bundle}: {cause(error).replace(f'{staging}/', '')}: pack it again") from None


def check_result(bundle: Path, staging: Path, branch: Branch, config: Config, other: bool) -> None:
    """Raise `UserError` unless a branch's files belong together, to it, and to what is here.

    other: losses may be others than those that are here.
    """
    manifest = check_losses(bundle, staging, branch, config)
    if changed := other_input(manifest.model_dump(), branch, config):
        raise UserError(f"{bundle}: {branch.id} was not trained from {changed} as it is now: pack the work anew")
    losses, _ = result_of(branch.id, config)
    here = whole(losses)
    if not other and here and here.sha256 != manifest.sha256:
        raise UserError(f"{losses} is there already with other losses: delete it to take those of {bundle}")
