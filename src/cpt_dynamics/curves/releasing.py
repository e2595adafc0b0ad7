"""Write a folder of released curves (see `released`) from branches that are trained."""

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from pydantic import BaseModel

from cpt_dynamics import __version__, files
from cpt_dynamics.config import Config
from cpt_dynamics.corpora.facts import facts
from cpt_dynamics.curves import metadata, table
from cpt_dynamics.curves.assemble import assemble
from cpt_dynamics.curves.released import CONTENTS, RESULTS, SCHEMA, Release, ReleasedPlan, identity, seal
from cpt_dynamics.errors import UserError, printable, shown
from cpt_dynamics.experiments import Plan, Run
from cpt_dynamics.files import fitting, read_json, sha256, write_json
from cpt_dynamics.layout import Layout
from cpt_dynamics.training.instances import trained_together
from cpt_dynamics.training.results import manifest_of

PLACES = {"results", "data", "released", "public_curves", "custom_rules", "curves"}  # keys that decide no loss
ABSOLUTE = re.compile(r"(?<![\w.:/])~?/[^\s'\",;)]+")  # paths that say where something lies on one machine
INSTANCES = "instances.json"
SHOWN = 5  # names in a message
LICENCE = "CC BY 4.0"
README = """\
{head}# Released curves: scale `{scale}`

Losses of {runs} training runs of continual pre-training (CPT) of language models, with the learning rate of every step:
{losses:,} losses on {validations} validation sets. With them `cpt-dynamics` makes all fits, figures, tables and
the report without training anything:

    snakemake --cores all --config curves=released

## How they were made

By `cpt-dynamics release`, version {kit}, from {branches} branches of the configuration in `config.yaml` and
{experiments} (seed {seed}; that of each run is in the table below). They were trained

- between {started} and {finished} (UTC)
- on {devices}
- with {versions}.

## Files

| file | what |
|---|---|
| `curves.parquet` | the losses: one row for each run, validation set and measured step |
| `schedules.parquet` | the learning rate that each step of each run used |
| `plan.json` | the branches that each run is made of, and the recommended runs |
| `manifests.json` | by branch: when, on what and with what it was trained |
| `corpora.json` | by corpus: where the text is from, licences, counts, digests of the tokens |
| `config.yaml`, {experiments} | the configuration; absolute paths are given by their last part |
{more}| `croissant.json`, `.zenodo.json` | the same for catalogues: Croissant 1.1 metadata, Zenodo's description |
| `release.json` | size and sha256 of every file, checked whenever one is read |

The page `docs/released-curves.md` of the kit describes columns and keys.

## Licence and how to cite

The curves are under {licence} (https://creativecommons.org/licenses/by/4.0/). The texts that were trained on are not
among them; their licences are listed below. Cite the kit with what names these curves, and the paper whose law they
test (*Learning Dynamics in Continual Pre-Training for Large Language Models*, arXiv 2505.07796):

> {cited}

## Texts

| corpus | what | licence | tokens trained on | tokens held out |
|---|---|---|---|---|
{corpora}

## Runs

| run | model | seed | steps | losses |
|---|---|---|---|---|
{table}
"""


MORE = {
    INSTANCES: "| `instances.json` | the same of further trainings of a branch, which runs in `plan.json` name |\n",
    "recommended.json": "| `recommended.json` | what the fitted laws recommended, which the recommended runs tried |\n",
    RESULTS: "| `results.json` | what the fits of these curves gave, with which another scale is compared |\n",
    "ledger.json": "| `ledger.json` | by branch of a campaign: its stage, and which training it started from |\n",
}


class Numerics(BaseModel):
    device: str


class Training(BaseModel):
    """What the page says of a manifest."""

    numerics: Numerics
    machine: dict[str, Any] = {}
    versions: dict[str, Any] = {}


class Source(BaseModel):
    description: str | None = None
    licences: dict[str, str] = {}
    licence: str = "not stated"


class Tokens(BaseModel):
    count: int


class Known(BaseModel):
    """What the page says of a corpus."""

    source: Source
    train: Tokens
    validation: Tokens


class Ledger(BaseModel):
    """The rows of a campaign's ledger, each of a branch."""

    branches: list[dict[str, Any]]


@dataclass(frozen=True)
class Part:
    """Runs whose branches are those of one plan; `knob`: what they were recommended for."""

    plan: Plan
    runs: list[Run]
    knob: str | None = None


def write(folder: Path, parts: Sequence[Part], config: Config, recommended: Path | None) -> dict[str, Any]:
    """Write the folder, whole or not at all, and return its `release.json`.

    recommended: the plan of recommended runs that some of the parts are of. Branches that are missing, not as their
    manifests state, or trained from another text than the one that is here raise `UserError`, as does a `folder` that
    holds something else.
    """
    if folder.exists() and not (folder / CONTENTS).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there and holds no released curves: move it away, or give another folder")
    manifests = _manifests(parts, config)
    corpora = {name: facts(name, config) for name in _corpora(parts, config)}
    others = _others(parts, config)
    instances = {path.stem: _manifest(path) for paths in others.values() for path in paths.values()}
    trainings = {**manifests, **instances}
    _check_text(trainings, corpora, config)
    assembled = [assemble(part.runs, part.plan, Layout(config)) for part in parts]
    curves, schedules = (pd.concat(tables, ignore_index=True) for tables in zip(*assembled, strict=True))
    with files.atomic(folder) as made:
        made.mkdir()
        table.write(made / "curves.parquet", curves[list(table.CURVE_COLUMNS)])
        table.write_schedules(made / "schedules.parquet", schedules)
        write_json(made / "plan.json", _plan(parts, others, config))
        write_json(made / "manifests.json", manifests)
        if instances:
            write_json(made / INSTANCES, instances)
        write_json(made / "corpora.json", without_places({name: _source(one) for name, one in corpora.items()}))
        if recommended is not None:
            write_json(made / "recommended.json", read_json(recommended))
        if (ledger := Layout(config).campaign / "ledger.json").exists():
            rows = [
                row for row in fitting(Ledger, read_json(ledger), ledger).branches if row.get("branch") in manifests
            ]
            write_json(made / "ledger.json", {"branches": rows})
        _settings(made, config)
        return _sealed(made, _about(trainings, config))


MADE = ("README.md", metadata.CROISSANT, metadata.ZENODO)  # from the other files, whenever a release is written


def add_results(release: Release, results: dict[str, Any]) -> dict[str, Any]:
    """Put what the fits gave beside released curves, all other data as they are; returns the new `release.json`."""
    curves = release.contents["files"]["curves.parquet"]["sha256"]
    return describe(release, {RESULTS: {**results, "curves": curves}})


def describe(release: Release, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write the pages of released curves anew, all data as they are; returns the new `release.json`.

    more : JSON files that are put beside them, by name
    """
    about = {key: value for key, value in release.contents.items() if key not in ("schema", "files", "sha256")}
    with files.atomic(release.folder) as made:
        made.mkdir()
        for name in sorted(release.contents["files"].keys() - MADE):
            shutil.copyfile(release.folder / name, made / name)
        for name, value in (more or {}).items():
            write_json(made / name, value)
        return _sealed(made, about)


def _sealed(made: Path, about: dict[str, Any]) -> dict[str, Any]:
    """Write the pages for people and catalogues, and release.json of all files; returns the latter."""
    (made / "README.md").write_text(_readme(made, about), encoding="utf-8")
    write_json(made / metadata.ZENODO, metadata.zenodo(about))
    write_json(made / metadata.CROISSANT, metadata.croissant(about, _stated(made)))
    contents = {"schema": SCHEMA, **about, "files": _stated(made)}
    contents["sha256"] = seal(contents)
    write_json(made / CONTENTS, contents)
    return contents


# --- what is released --------------------------------------------------------------------------------------------


def _manifests(parts: Iterable[Part], config: Config) -> dict[str, dict[str, Any]]:
    """Manifest of every branch, parents first; `UserError` unless all are done and hold what these state."""
    layout = Layout(config)
    names = list(dict.fromkeys(b.id for part in parts for b in part.plan.needed(run.name for run in part.runs)))
    pairs = {name: (layout.branch(name), layout.branch(name).with_suffix(".json")) for name in names}
    if missing := [name for name, pair in pairs.items() if not all(file.exists() for file in pair)]:
        more = " ..." if len(missing) > SHOWN else ""
        raise UserError(
            f"{len(missing)} of {len(names)} branches are not trained: {', '.join(missing[:SHOWN])}{more}:"
            " train them before their curves are released"
        )
    return {name: _manifest(losses) for name, (losses, _) in pairs.items()}


def _manifest(losses: Path) -> dict[str, Any]:
    """All that the manifest of these losses says."""
    manifest_of(losses)
    return dict(read_json(losses.with_suffix(".json")))


def _others(parts: Iterable[Part], config: Config) -> dict[str, dict[str, Path]]:
    """Run -> its branches of which its curve has another training than the one that stands for them -> the losses."""
    layout = Layout(config)
    found: dict[str, dict[str, Path]] = {}
    for part in parts:
        for run in part.runs:
            chain = [branch for branch, _ in part.plan.chains[run.name]]
            paths = dict(zip(chain, trained_together(chain, layout), strict=True))
            found[run.name] = {branch: path for branch, path in paths.items() if path != layout.branch(branch)}
    return found


def _corpora(parts: Iterable[Part], config: Config) -> list[str]:
    own = [name for part in parts for run in part.runs for name in run.corpora]
    return list(dict.fromkeys([*config.validations(), *own]))


def _check_text(manifests: dict[str, dict[str, Any]], corpora: dict[str, Any], config: Config) -> None:
    """Raise `UserError` unless all branches were trained from the tokens that are here."""
    for branch, manifest in manifests.items():
        for name, trained_from in manifest["text"].items():
            if name in corpora and trained_from != corpora[name]["train"]["sha256"]:
                tokens = Layout(config).tokens(name, "train")
                raise UserError(
                    f"{branch} was trained from another text of {name} than {tokens}, so its curves do not belong to"
                    " the others: train it again"
                )


def _plan(parts: Sequence[Part], others: dict[str, dict[str, Path]], config: Config) -> dict[str, Any]:
    branches = {branch.id: branch for part in parts for branch in part.plan.needed(run.name for run in part.runs)}
    return {
        "runs": {
            run.name: {
                "model": run.model,
                "seed": run.seed,
                "steps": run.steps,
                "identity": identity(run, config),
                "chain": part.plan.chains[run.name],
                **({"instances": {b: path.stem for b, path in others[run.name].items()}} if others[run.name] else {}),
            }
            for part in parts
            for run in part.runs
        },
        "branches": {
            name: {
                "run": branch.run.name,
                "steps": [branch.first + 1, branch.last],
                "parent": branch.parent,
            }
            for name, branch in branches.items()
        },
        "recommended": {part.knob: [run.name for run in part.runs] for part in parts if part.knob},
    }


def _source(known: dict[str, Any]) -> dict[str, Any]:
    """What is known of a corpus without the list of its files, which is as long as the text has files."""
    return {**known, "source": {key: value for key, value in known["source"].items() if key != "files"}}


def _settings(made: Path, config: Config) -> None:
    """Write the configuration and the files of experiments."""
    names = [f"experiments-{number}.yaml" for number in range(1, len(config.experiments) + 1)]
    for name, path in zip(names, config.experiments, strict=True):
        (made / name).write_bytes(Path(path).read_bytes())
    # Keys that are not set stay so, as branches are named after them.
    stated = config.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=PLACES)
    text = yaml.safe_dump(without_places({**stated, "experiments": names}), sort_keys=False, allow_unicode=True)
    (made / "config.yaml").write_text(text, encoding="utf-8")


def without_places(value: Any) -> Any:
    """`value` with every absolute path in its texts shortened to the last part, and addresses without secrets."""
    if isinstance(value, dict):
        return {key: without_places(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_places(inner) for inner in value]
    return ABSOLUTE.sub(lambda found: Path(found[0]).name, shown(value)) if isinstance(value, str) else value


def _about(manifests: dict[str, dict[str, Any]], config: Config) -> dict[str, Any]:
    """Name and dates. They are those of the training, so that the same results give the same files."""
    return {
        "name": f"cpt-dynamics curves, scale {config.scale}, seed {config.seed}",
        "kit": __version__,
        "scale": config.scale,
        "seed": config.seed,
        "licence": LICENCE,
        "started": min(manifest["started"] for manifest in manifests.values()),
        "finished": max(manifest["finished"] for manifest in manifests.values()),
    }


def _stated(made: Path) -> dict[str, dict[str, Any]]:
    return {path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in sorted(made.iterdir())}


# --- the page beside it ------------------------------------------------------------------------------------------


def _readme(made: Path, about: dict[str, Any]) -> str:
    """The page for people, from the other files."""
    manifests, instances = _trainings(made / "manifests.json"), _trainings(made / INSTANCES)
    corpora = fitting(dict[str, Known], read_json(made / "corpora.json"), made / "corpora.json")
    plan = fitting(ReleasedPlan, read_json(made / "plan.json"), made / "plan.json")
    curves = pd.read_parquet(made / "curves.parquet", columns=["run", "validation"])
    counts = curves["run"].value_counts()
    experiments = sorted((path.name for path in made.glob("experiments-*.yaml")), key=lambda name: (len(name), name))
    return README.format(
        **{key: about[key] for key in ("scale", "seed", "kit")},
        head=metadata.card(about, len(curves)),
        cited=metadata.cited(about),
        started=about["started"][:16].replace("T", " "),
        finished=about["finished"][:16].replace("T", " "),
        runs=len(plan.runs),
        losses=len(curves),
        validations=curves["validation"].nunique(),
        branches=len(manifests),
        devices=_devices({**manifests, **instances}),
        versions=_versions({**manifests, **instances}),
        experiments=", ".join(f"`{name}`" for name in experiments),
        more="".join(row for name, row in MORE.items() if (made / name).exists()),
        licence=LICENCE,
        corpora="\n".join(_corpus_row(name, one) for name, one in corpora.items()),
        table="\n".join(
            f"| {name} | {run.model} | {run.seed} | {run.steps:,} | {counts.get(name, 0):,} |"
            for name, run in plan.runs.items()
        ),
    )


def _trainings(path: Path) -> dict[str, Training]:
    return fitting(dict[str, Training], read_json(path), path) if path.exists() else {}


def _devices(manifests: dict[str, Training]) -> str:
    """Kinds of device and machine; manifests of old may not name the machine."""
    found: dict[str, None] = {}
    for manifest in manifests.values():
        machine = manifest.machine
        where = ", ".join(str(machine[key]) for key in ("processor", "system") if key in machine)
        cores = f", {machine['cores']} cores" if "cores" in machine else ""
        found[f"{manifest.numerics.device} ({where or 'a machine that is not recorded'}{cores})"] = None
    return "; ".join(found)


def _versions(manifests: dict[str, Training]) -> str:
    found: dict[str, set[str]] = {}
    for manifest in manifests.values():
        for name in ("cpt_dynamics", "python", "torch", "transformers"):
            found.setdefault(name, set()).add(str(manifest.versions.get(name, "unknown")))
    return ", ".join(f"{name} {' and '.join(sorted(several))}" for name, several in found.items())


def _corpus_row(name: str, known: Known) -> str:
    source = known.source
    cells = [
        name,
        source.description or "",
        "; ".join(sorted(set(source.licences.values())) or [source.licence]),
        f"{known.train.count:,}",
        f"{known.validation.count:,}",
    ]
    return f"| {' | '.join(printable(without_places(cell)).replace('|', '/') for cell in cells)} |"
