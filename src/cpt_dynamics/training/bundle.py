"""Bundles: what a machine without a network needs to train the branches of a plan, and what comes home from there.

Both kinds are tar files with one folder. Its first file, `bundle.json`, has size and sha256 of every other. Members
have a fixed order and date, so that the same content gives the same file.
"""

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import yaml

from cpt_dynamics import __version__
from cpt_dynamics.config import Config, PretrainedModel
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Branch, Plan
from cpt_dynamics.experiments.models import weights_digest
from cpt_dynamics.files import atomic, digest, read_json, read_table, sha256, sync_folder
from cpt_dynamics.layout import BRANCH_SCHEMA, Layout
from cpt_dynamics.training import work as unpacked
from cpt_dynamics.training.work import CONTENTS, Contents, Member

DATE = 315619200  # of every member, 2 January 1980: the zip files that wheels are begin in that year
Why = Literal["new", "again"]  # a branch is trained there: it is not done here, or it is but others start from it
PICKLED = (".bin", ".pt", ".pth")  # weights that the kit does not read
RESULT = (".parquet", ".json")
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "src")  # what a wheel of the kit is built from
INSTALL = "pip install --no-index --find-links wheels -c requirements.lock 'cpt-dynamics[train]'"
INSTALL_FROM_MIRROR = "pip install --find-links wheels -c requirements.lock 'cpt-dynamics[train]'  # needs a mirror"
README = """\
# Work for a machine without a network

{branches} branches of the scale `{scale}`, {steps:,} training steps, packed by cpt-dynamics {version}.

Install, with the version of Python that the wheels are for:

    python3 -m venv .venv && . .venv/bin/activate
    {install}

Train, which goes on where it was when it is given again, and pack what comes home:

    cpt-dynamics train --plan
    cpt-dynamics bundle --results --out {scale}-results.tar

At home, in the folder of the checkout: `cpt-dynamics unbundle {scale}-results.tar` with the same `--configfile`.
"""


# --- the work ----------------------------------------------------------------------------------------------------


def pack_work(
    out: Path,
    branches: list[Branch],
    plan: Plan,
    config: Config,
    wheels: Path | None,
    checkpoints: bool,
    more: dict[str, Path] | None = None,
) -> dict[str, Why]:
    """Write the bundle from which those of the branches that are not done can be trained elsewhere.

    wheels: folder of packages to pack as well. checkpoints: pack those that new branches start from, where the parent
    is done here. more: path in the bundle -> further file. Returns the work, branch -> why.
    """
    work = work_left(branches, plan, config)
    if not work:
        raise UserError("every branch is done here: there is nothing to train elsewhere")
    chosen = [plan.branches[name] for name in work]
    with atomic(out) as temporary, tempfile.TemporaryDirectory(dir=temporary.parent) as folder:
        made = Path(folder)
        members = {**_text(chosen, config), **_settings(config, made), **_models(chosen, config), **(more or {})}
        if checkpoints:
            members |= _checkpoints(work, plan, config, made)
        members |= _software(wheels, made)
        members["README.md"] = made / "README.md"
        members["README.md"].write_text(
            README.format(
                branches=len(work),
                scale=config.scale,
                steps=sum(branch.steps for branch in chosen),
                version=__version__,
                install=INSTALL if wheels else INSTALL_FROM_MIRROR,
            )
        )
        contents = Contents(kit=__version__, kind="work", scale=config.scale, work=work)
        _write(temporary, f"{config.scale}-bundle", contents, members)
    return work


def work_left(branches: Iterable[Branch], plan: Plan, config: Config) -> dict[str, Why]:
    """Branch -> why, parents first: those that are not done, and those that they start from."""
    left = {branch.id for branch in branches if not finished(branch, config)}
    above = {parent for name in left for parent in _ancestors(name, plan)}
    return {name: "new" if name in left else "again" for name in plan.branches if name in left | above}


def _ancestors(branch: str, plan: Plan) -> list[str]:
    parent = plan.branches[branch].parent
    return [parent, *_ancestors(parent, plan)] if parent else []


def finished(branch: Branch, config: Config) -> bool:
    """Whether a branch was trained, from the text and weights that are here now."""
    files = result_of(branch.id, config)
    return all(file.exists() for file in files) and other_input(read_json(files[-1]), branch, config) is None


def result_of(branch: str, config: Config) -> list[Path]:
    """The files of a branch that is done: losses and manifest."""
    return [Layout(config).branch(branch).with_suffix(suffix) for suffix in RESULT]


def other_input(manifest: dict[str, Any], branch: Branch, config: Config) -> Path | None:
    """What is here but is not what the branch of a manifest was trained from: tokens or a folder of weights."""
    layout, text = Layout(config), manifest.get("text", {})
    for name in dict.fromkeys([*config.trained(), *branch.run.corpora]):
        if text.get(name) != _index(layout.tokens(name, "train"))["sha256"]:
            return layout.tokens(name, "train")
    spec = config.models[branch.run.model]
    if manifest.get("weights") != weights_digest(spec):
        return Path(getattr(spec, "pretrained", branch.run.model))
    return None


def _index(tokens: Path) -> dict[str, Any]:
    return dict(read_json(_made(tokens.with_suffix(".json"))))


def _text(branches: list[Branch], config: Config) -> dict[str, Path]:
    """Token files that the branches read and are validated on, and the tokenizer."""
    layout = Layout(config)
    own = [name for branch in branches for name in branch.run.corpora]
    tokens = [layout.tokens(name, "train") for name in dict.fromkeys([*config.trained(), *own])]
    tokens += [layout.tokens(name, "validation") for name in dict.fromkeys([*config.validations(), *own])]
    tokenizer = sha256(_made(layout.tokenizer))
    for path in tokens:
        index = _index(path)
        if index["tokenizer_sha256"] != tokenizer or index["sha256"] != sha256(_made(path)):
            raise UserError(f"{path} does not fit {path.with_suffix('.json')} and {layout.tokenizer}: make it again")
    there = Layout(config.model_copy(update={"results": "results"})).root
    files = [layout.tokenizer, *(path.with_suffix(suffix) for path in tokens for suffix in (".bin", ".json"))]
    return {str(there / path.relative_to(layout.root)): path for path in files}


def _made(path: Path) -> Path:
    if not path.exists():
        raise UserError(f"{path} does not exist: make it with `snakemake --cores all {path}`")
    return path


def _settings(config: Config, made: Path) -> dict[str, Path]:
    """The merged configuration and the files of experiments. What branches are named after stays as it is."""
    experiments = {f"config/experiments-{number}.yaml": Path(path) for number, path in enumerate(config.experiments, 1)}
    elsewhere = {"results", "data", "released", "public_curves", "custom_rules", "curves"}  # as in a fresh checkout
    # Keys that are not set stay so: a default may be another number for the digest (40) than the same one set (40.0).
    stated = config.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=elsewhere)
    path = made / "config.yaml"
    path.write_text(yaml.safe_dump({**stated, "experiments": list(experiments)}, sort_keys=False))
    return {"config/config.yaml": path, **experiments}


def _models(branches: list[Branch], config: Config) -> dict[str, Path]:
    """Files of pretrained models in folders below the working one, which have the same path in the bundle."""
    members: dict[str, Path] = {}
    for folder in {folder for folder, travels in pretrained(branches, config).items() if travels}:
        files = (path for path in Path(folder).iterdir() if path.is_file() and path.suffix not in PICKLED)
        members |= {str(path): path for path in files}
    return members


def pretrained(branches: Iterable[Branch], config: Config) -> dict[str, bool]:
    """Pretrained model that the branches start from -> whether it is a folder that travels with a bundle."""
    specs = [config.models[branch.run.model] for branch in branches]
    names = dict.fromkeys(spec.pretrained for spec in specs if isinstance(spec, PretrainedModel))
    return {name: Path(name).is_dir() and _below(name) for name in names}


def _below(path: str) -> bool:
    return not Path(path).is_absolute() and ".." not in Path(path).parts


def _checkpoints(work: dict[str, Why], plan: Plan, config: Config, made: Path) -> dict[str, Path]:
    """Checkpoints of finished branches that others start from, and the losses measured on the way there.

    With both, a machine of the same kind has nothing to train of such a branch; another kind trains it again, since
    its checkpoints have other names. A branch whose checkpoints are not all here is left out.
    """
    from cpt_dynamics.training import branch as training  # torch takes seconds
    from cpt_dynamics.training.loop import Rows

    corpora = [name for branch in work for name in plan.branches[branch].run.corpora]
    trainer = training.open_trainer(plan, config, corpora)
    there = Path("results", config.scale, "checkpoints")
    members: dict[str, Path] = {}
    for name in (name for name, why in work.items() if why == "again"):
        branch = plan.branches[name]
        forks = {plan.branches[other].first for other in work if plan.branches[other].parent == name}
        keys = {step: trainer.key(branch.run, step) for step in sorted({*forks, branch.last})}
        if absent := [step for step, key in keys.items() if not trainer.store.has(key)]:
            print(f"{name}: there is no checkpoint of step {absent[0]} here, so it is trained again there")
            continue
        folders = [trainer.store.path(key) for key in keys.values()]
        members |= {str(there / folder.name / path.name): path for folder in folders for path in folder.iterdir()}
        rows = Rows(made / f"{name}.rows.json")
        table = read_table(Layout(config).branch(name), BRANCH_SCHEMA)
        rows.rows = [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
        rows.started_from = read_json(result_of(name, config)[-1]).get("started_from")
        rows.write(branch.last)
        members[str(there / rows.path.name)] = rows.path
    return members


# --- software ----------------------------------------------------------------------------------------------------


def _software(wheels: Path | None, made: Path) -> dict[str, Path]:
    """A wheel of the kit, the exact versions of what it needs, and the packages of the folder `wheels`."""
    packages = []
    if wheels is not None:
        packages = sorted(path for path in wheels.glob("*") if path.name.endswith((".whl", ".tar.gz", ".zip")))
        if not packages:
            raise UserError(f"--wheels: {wheels} has no packages: `pip download -r requirements.lock -d {wheels}`")
    root = Path(__file__).parents[3]
    if (root / "pyproject.toml").exists():
        packages = [path for path in packages if not path.name.startswith("cpt_dynamics-")]
        packages.append(kit_wheel(root, made / "wheels"))
    elif not any(path.name.startswith("cpt_dynamics-") for path in packages):
        raise UserError(
            "the kit is not installed from a checkout, so its wheel cannot be built: put one into a folder of wheels"
            " and name it with --wheels"
        )
    members = {f"wheels/{path.name}": path for path in packages}
    lock = root / "requirements.lock"
    return members | ({"requirements.lock": lock} if lock.exists() else {})


def kit_wheel(root: Path, folder: Path) -> Path:
    """Build a wheel of the checkout `root` into a folder, without a network; the same sources give the same file."""
    with tempfile.TemporaryDirectory() as copy:  # building leaves files beside the sources
        for part in SOURCES:
            source, target = root / part, Path(copy) / part
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
            else:
                shutil.copy(source, target)
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
        command += ["--no-build-isolation", "--no-index", "--wheel-dir", str(folder), copy]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(DATE)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["pip says nothing"]
        raise UserError(f"the wheel of the kit could not be built ({lines[-1]}): pip install 'setuptools>=77'")
    (wheel,) = folder.glob("*.whl")
    return wheel


# --- the results -------------------------------------------------------------------------------------------------


def pack_results(
    out: Path,
    plan: Plan,
    config: Config,
    names: Iterable[str] | None = None,
    records: dict[str, dict[str, Any]] | None = None,
) -> list[str]:
    """Write the bundle of the branches `names`, or of all that are done here; returns their names.

    In an unpacked bundle, those that were trained again since others start from them are not among the latter. All
    that they start from is packed besides, so that it is known there which training of it that was. records: branch ->
    what to say of its training besides its manifest.
    """
    done = list(names) if names is not None else _done_here(plan, config)
    if not done:
        raise UserError("no branch is done here: `cpt-dynamics train --plan` trains them")
    above = {parent for name in done for parent in _ancestors(name, plan)} - set(done)
    instances = [name for name in plan.branches if name in above and finished(plan.branches[name], config)]
    members: dict[str, Path] = {}
    for name in [*done, *instances]:
        losses, manifest = result_of(name, config)
        if read_json(manifest)["sha256"] != sha256(losses):
            raise UserError(f"{losses} is not what its manifest states: delete it and train it again")
        members |= {f"branches/{file.name}": file for file in (losses, manifest)}
    said = {name: record for name, record in (records or {}).items() if name in done}
    contents = Contents(
        kit=__version__, kind="results", scale=config.scale, branches=done, instances=instances, records=said
    )
    with atomic(out) as temporary:
        _write(temporary, f"{config.scale}-results", contents, members)
    return done


def trained_again() -> set[str]:
    """Branches that the bundle in the working folder has trained although they are done at home."""
    asked = unpacked.here()
    return {name for name, why in asked.work.items() if why == "again"} if asked else set()


def _done_here(plan: Plan, config: Config) -> list[str]:
    again = trained_again()
    return [branch.id for branch in plan.branches.values() if branch.id not in again and finished(branch, config)]


class Taken(NamedTuple):
    """What a bundle of results held: its branches, those that were not done here, and what it says of them."""

    names: list[str]
    new: list[str]
    records: dict[str, dict[str, Any]]


def take_results(bundle: Path, plan: Plan, config: Config, keep_others: bool = False) -> Taken:
    """Put the branches of a bundle of results in their places, as done work.

    Everything is checked before anything is put in place: sizes and digests, that each branch is one of the plan and
    was trained from the text that is here, that what it starts from is done, and that none is here with other losses.
    Branches are dated anew, parents first, since Snakemake takes for done what is no older than what it is made from.

    What they started from is kept beside that which is here (`Layout.instances`) if its checkpoints are others, for
    their curves; it takes its place if there is none. keep_others: the same goes for branches that are here with other
    losses, instead of an error.
    """
    layout = Layout(config)
    folder = layout.branch("").parent
    _made(layout.tokenizer)
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unbundle.", dir=folder) as staging:
        contents = _unpack(bundle, Path(staging), plan, config)
        held = [*contents.branches, *contents.instances] if keep_others else contents.instances
        here = [name for name in held if _is_other(Path(staging) / f"{name}.parquet", plan.branches[name], config)]
        lacking = [name for name in contents.instances if not finished(plan.branches[name], config)]
        names = [name for name in plan.branches if name in {*contents.branches, *lacking} - set(here)]
        for name in [*names, *here]:
            check_result(bundle, Path(staging), plan.branches[name], config, other=name in here)
        check_parents(bundle, names, plan, config)
        new = [name for name in names if not finished(plan.branches[name], config)]
        for name in here:
            _keep_instance(Path(staging) / f"{name}.parquet", folder.with_name("instances"))
        for name in names:
            for file in result_of(name, config):
                if name in new:
                    os.replace(Path(staging) / file.name, file)
                os.utime(file)
        sync_folder(folder)
    return Taken(names, new, contents.records)


def _is_other(losses: Path, branch: Branch, config: Config) -> bool:
    """Whether a branch is done here by another training, which wrote other checkpoints."""
    if not finished(branch, config):
        return False
    path, manifest = result_of(branch.id, config)
    here, there = (read_json(file).get("checkpoints", {}) for file in (manifest, losses.with_suffix(".json")))
    if steps := here.keys() & there.keys():
        return any(here[step] != there[step] for step in steps)
    return sha256(path) != sha256(losses)


def _keep_instance(losses: Path, folder: Path) -> None:
    """Keep another training of a branch, named by its checkpoints; one that does not state them is of no use."""
    checkpoints = read_json(losses.with_suffix(".json")).get("checkpoints")
    if not checkpoints:
        return
    folder.mkdir(exist_ok=True)
    name = f"{losses.stem}.{digest(checkpoints)[:12]}"
    os.replace(losses.with_suffix(".json"), folder / f"{name}.json")
    os.replace(losses, folder / f"{name}.parquet")
    sync_folder(folder)


def _unpack(bundle: Path, staging: Path, plan: Plan, config: Config) -> Contents:
    """Write the files of a bundle of results, which must be as `bundle.json` states them, into a folder."""
    try:
        with tarfile.open(bundle, "r:") as tar:
            first = tar.next()
            inside = Path(first.name).parts if first else ()
            if first is None or len(inside) != 2 or inside[1] != CONTENTS.name or not first.isreg():
                raise UserError(f"{bundle} does not begin with {CONTENTS}: it is no bundle")
            contents = _contents(bundle, _read(tar, first), plan, config)
            left = {f"{inside[0]}/{member.path}": member for member in contents.members}
            while member := tar.next():
                stated = left.pop(member.name, None)
                if stated is None or not member.isreg():
                    raise UserError(f"{bundle} holds {member.name!r}, which its {CONTENTS} does not state: not taken")
                path = staging / Path(member.name).name
                with atomic(path) as temporary:
                    temporary.write_bytes(_read(tar, member))
                if path.stat().st_size != stated.size or sha256(path) != stated.sha256:
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


def _contents(bundle: Path, text: bytes, plan: Plan, config: Config) -> Contents:
    """`bundle.json` of a bundle of results of this configuration."""
    contents = Contents.parse(text, str(bundle))
    if contents.kind != "results":
        raise UserError(f"{bundle} is work to be trained, no results: unpack it with tar on the other machine")
    if contents.scale != config.scale:
        raise UserError(
            f"{bundle} has results of the scale {contents.scale!r}, the configuration is of {config.scale!r}:"
            " give the --configfile that its work was packed with"
        )
    if foreign := [name for name in [*contents.branches, *contents.instances] if name not in plan.branches]:
        raise UserError(
            f"{bundle}: {foreign[0]} is no branch of this configuration ({len(foreign)} of {len(contents.branches)} are"
            " not): its work was packed with another one, see `cpt-dynamics plan`"
        )
    held = [*contents.branches, *contents.instances]
    expected = {f"branches/{name}{suffix}" for name in held for suffix in RESULT}
    if {member.path for member in contents.members} != expected:
        raise UserError(f"{bundle}: its {CONTENTS} does not state the files of its branches: pack it again")
    return contents


def check_result(bundle: Path, staging: Path, branch: Branch, config: Config, other: bool) -> None:
    """Raise `UserError` unless a branch's files belong together, to it, and to what is here.

    other: losses may be others than those that are here.
    """
    path = staging / f"{branch.id}.parquet"
    manifest = read_json(path.with_suffix(".json"))
    stated = sha256(path)
    read_table(path, BRANCH_SCHEMA)
    if manifest.get("branch") != branch.id or manifest.get("sha256") != stated:
        raise UserError(f"{bundle}: the manifest of {branch.id} is of other losses: pack it again")
    if changed := other_input(manifest, branch, config):
        raise UserError(f"{bundle}: {branch.id} was not trained from {changed} as it is now: pack the work anew")
    here = result_of(branch.id, config)
    if not other and all(file.exists() for file in here) and sha256(here[0]) != stated:
        raise UserError(f"{here[0]} is there already with other losses: delete it to take those of {bundle}")


def check_parents(bundle: Path, names: list[str], plan: Plan, config: Config) -> None:
    for name in names:
        parent = plan.branches[name].parent
        if parent and parent not in names and not finished(plan.branches[parent], config):
            raise UserError(f"{bundle}: {name} starts from {parent}, which is neither in it nor done here")


# --- files -------------------------------------------------------------------------------------------------------


def _write(out: Path, folder: str, contents: Contents, members: dict[str, Path]) -> None:
    """Write a tar file of `folder` with `bundle.json` and the members (path in it -> file)."""
    stated = [
        Member(path=path, size=file.stat().st_size, sha256=sha256(file)) for path, file in sorted(members.items())
    ]
    text = contents.model_copy(update={"members": stated}).model_dump_json(indent=1).encode()
    with tarfile.open(out, "w") as tar:
        _add(tar, f"{folder}/{CONTENTS}", len(text), io.BytesIO(text))
        for member in stated:
            with members[member.path].open("rb") as file:
                _add(tar, f"{folder}/{member.path}", member.size, file)


def _add(tar: tarfile.TarFile, name: str, size: int, file: BinaryIO) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime = size, DATE
    tar.addfile(member, file)
