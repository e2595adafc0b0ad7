"""What a machine without a network needs to train the branches of a plan."""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from cpt_dynamics import __version__
from cpt_dynamics.config import Config, PretrainedModel
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Branch, Plan
from cpt_dynamics.files import atomic, passing, read_table, sha256
from cpt_dynamics.layout import BRANCH_SCHEMA, Layout
from cpt_dynamics.slots.archive import DATE, write_tar
from cpt_dynamics.slots.stages import with_ancestors
from cpt_dynamics.training.results import existing, finished, index_of, manifest_of
from cpt_dynamics.training.work import Contents, Why

Files = dict[str, Path]  # path in the bundle -> file

PICKLED = (".bin", ".pt", ".pth")  # weights that the kit does not read
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "src")  # what a wheel of the kit is built from
README = """\
# Work for a machine without a network

{branches} branches of the scale `{scale}`, {steps:,} training steps, packed by cpt-dynamics {version}.

Install, with the version of Python that the wheels are for:

    python3 -m venv .venv && . .venv/bin/activate
    pip install {source}--find-links wheels -c requirements.lock 'cpt-dynamics[train]'{remark}

Train, which goes on where it was when it is given again, and pack what comes home:

    cpt-dynamics train --plan
    cpt-dynamics bundle --results --out {scale}-results.tar

At home, in the folder of the checkout: `cpt-dynamics unbundle {scale}-results.tar` with the same `--configfile`.
"""


def pack_work(
    out: Path, branches: Iterable[Branch], plan: Plan, config: Config, wheels: Path | None, checkpoints: bool
) -> dict[str, Why]:
    """Write the bundle from which those of the branches that are not done can be trained elsewhere; returns the work.

    See `gathered`.
    """
    gathering = gathered(out.parent, branches, plan, config, wheels, checkpoints)
    with atomic(out) as temporary, gathering as (contents, files), tarfile.open(temporary, "w") as tar:
        write_tar(tar, f"{config.scale}-bundle", contents, files)
    return contents.work


@contextmanager
def gathered(
    near: Path,
    branches: Iterable[Branch],
    plan: Plan,
    config: Config,
    wheels: Path | None,
    checkpoints: bool = False,
    more: Files | None = None,
) -> Iterator[tuple[Contents, Files]]:
    """`bundle.json` and the files of a bundle of work; those made for it lie in the folder `near` while the block runs.

    wheels: folder of packages to pack as well. checkpoints: pack those that new branches start from, where the parent
    is done here. more: further files.
    """
    work = work_left(branches, plan, config)
    if not work:
        raise UserError("every branch is done here: there is nothing to train elsewhere")
    chosen = [plan.branches[name] for name in work]
    with passing(near, "bundle") as made:
        files = {**_text(chosen, config), **_settings(config, made), **_models(chosen, config), **(more or {})}
        if checkpoints:
            files |= _checkpoints(work, plan, config, made)
        files |= _software(wheels, made)
        files["README.md"] = made / "README.md"
        size = {"branches": len(work), "steps": sum(branch.steps for branch in chosen)}
        source, remark = ("--no-index ", "") if wheels else ("", "  # needs a mirror")
        text = README.format(scale=config.scale, version=__version__, source=source, remark=remark, **size)
        files["README.md"].write_text(text, encoding="utf-8")
        yield Contents(kit=__version__, kind="work", scale=config.scale, work=work).of(files), files


def work_left(branches: Iterable[Branch], plan: Plan, config: Config) -> dict[str, Why]:
    """Branch -> why, parents first: those that are not done, and those that they start from."""
    wanted = list(branches)
    left = {branch.id for branch in wanted} - finished(wanted, config)
    return {name: "new" if name in left else "again" for name in with_ancestors(left, plan)}


def _text(branches: list[Branch], config: Config) -> Files:
    """Token files that the branches read and are validated on, and the tokenizer."""
    layout = Layout(config)
    own = [name for branch in branches for name in branch.run.corpora]
    tokens = [layout.tokens(name, "train") for name in dict.fromkeys([*config.trained(), *own])]
    tokens += [layout.tokens(name, "validation") for name in dict.fromkeys([*config.validations(), *own])]
    tokenizer = sha256(existing(layout.tokenizer))
    for path in tokens:
        index = index_of(path)
        if index.tokenizer_sha256 != tokenizer or index.sha256 != sha256(existing(path)):
            raise UserError(f"{path} does not fit {path.with_suffix('.json')} and {layout.tokenizer}: make it again")
    there = Layout(config.model_copy(update={"results": "results"})).root
    files = [layout.tokenizer, *(path.with_suffix(suffix) for path in tokens for suffix in (".bin", ".json"))]
    return {str(there / path.relative_to(layout.root)): path for path in files}


def _settings(config: Config, made: Path) -> Files:
    """The merged configuration and the files of experiments. What branches are named after stays as it is."""
    experiments = {f"config/experiments-{number}.yaml": Path(path) for number, path in enumerate(config.experiments, 1)}
    elsewhere = {"results", "data", "released", "public_curves", "custom_rules", "curves"}  # as in a fresh checkout
    # Keys that are not set stay so: a default may be another number for the digest (40) than the same one set (40.0).
    stated = config.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=elsewhere)
    path = made / "config.yaml"
    path.write_text(yaml.safe_dump({**stated, "experiments": list(experiments)}, sort_keys=False), encoding="utf-8")
    return {"config/config.yaml": path, **experiments}


def _models(branches: list[Branch], config: Config) -> Files:
    """Files of pretrained models in folders below the working one, which have the same path in the bundle."""
    folders = [Path(folder) for folder, travels in pretrained(branches, config).items() if travels]
    files = [path for folder in folders for path in folder.iterdir() if path.is_file()]
    return {str(path): path for path in files if path.suffix not in PICKLED}


def pretrained(branches: Iterable[Branch], config: Config) -> dict[str, bool]:
    """Pretrained model that the branches start from -> whether it is a folder that travels with a bundle."""
    specs = [config.models[branch.run.model] for branch in branches]
    names = dict.fromkeys(spec.pretrained for spec in specs if isinstance(spec, PretrainedModel))
    return {
        name: Path(name).is_dir() and not Path(name).is_absolute() and ".." not in Path(name).parts for name in names
    }


def _checkpoints(work: dict[str, Why], plan: Plan, config: Config, made: Path) -> Files:
    """Checkpoints of finished branches that others start from, and the losses measured on the way there.

    With both, a machine of the same kind has nothing to train of such a branch; another kind trains it again, since
    its checkpoints have other names. A branch whose checkpoints are not all here is left out.
    """
    from cpt_dynamics.training import branch as training  # torch takes seconds
    from cpt_dynamics.training.loop import Rows

    corpora = [name for branch in work for name in plan.branches[branch].run.corpora]
    trainer = training.open_trainer(plan, config, corpora)
    there = Path("results", config.scale, "checkpoints")
    members: Files = {}
    for name in (name for name, why in work.items() if why == "again"):
        branch = plan.branches[name]
        forks = {plan.branches[other].first for other in work if plan.branches[other].parent == name}
        keys = {step: trainer.key(branch.run, step) for step in sorted({*forks, branch.last})}
        if absent := [step for step, key in keys.items() if not trainer.store.has(key) or trainer.store.damage(key)]:
            print(f"{name}: there is no checkpoint of step {absent[0]} here, so it is trained again there")
            continue
        folders = [trainer.store.path(key) for key in keys.values()]
        members |= {str(there / folder.name / path.name): path for folder in folders for path in folder.iterdir()}
        rows = Rows(made / f"{name}.rows.json")
        losses = Layout(config).branch(name)
        table = read_table(losses, BRANCH_SCHEMA)
        rows.rows = [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
        started = manifest_of(losses).started_from
        rows.started_from = started.model_dump() if started else None
        rows.write(branch.last, keys[branch.last])
        members[str(there / rows.path.name)] = rows.path
    return members


# --- software ----------------------------------------------------------------------------------------------------


def _software(wheels: Path | None, made: Path) -> Files:
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
