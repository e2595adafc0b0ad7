"""summary.json: what a machine needs to know of a scale. Its keys are a contract, see `summary`."""

import datetime as dt
import re
from pathlib import Path
from typing import Any

from cpt_dynamics.analysis.findings import Finding
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.kit.joint import SIGNS
from cpt_dynamics.files import sha256
from cpt_dynamics.reporting import tables
from cpt_dynamics.reporting.claims import all_claims
from cpt_dynamics.reporting.material import Material
from cpt_dynamics.versions import machine

SCHEMA = "cpt-dynamics/summary/1"
LONGEST = 100  # entries of a list that the summary repeats
Found = tuple[tuple[str, ...], dict[str, Any], str | None]


def summary(material: Material) -> dict[str, Any]:
    """Everything of a scale in one mapping; a missing input raises `UserError`.

    schema; scale; seed.
    released : name, kit and sha256 of the released curves that everything is made from; null where the curves were
        trained here. Then what is said of training below is said of theirs.
    started, finished : of training, from the manifests of the branches (ISO 8601, UTC).
    wall_seconds : from the earliest start of a branch to the latest end of one. Branches trained side by side
        count once; a break between two calls of the workflow counts too.
    cpu_seconds : of training all branches (cpu_seconds_training) and of all fits that the results keep
        (cpu_seconds_fitting); corpora, tables and figures are not counted.
    branches, steps_trained, steps_unshared : branches, their steps, and the steps of all runs
        had none been shared.
    findings.<id> : finding (1 to 5; null: a question that the paper leaves open), claim, verdict, and by criterion
        statistic (null: not defined) and threshold (above, below; null: no such bound). The criterion holds where
        above < statistic < below.
    fits.<figure>.<validation> : role, validation, law, lambda, parameters, r2, r2_cpt (CPT rows), huber (sum over
        rows), mean_relative_error and mean_relative_error_cpt, skill; null where a law has none or a figure does not
        say. Fits beside the one that a figure is about have their keys in fits/<figure>.json, joined with dots, in
        place of the validation set.
    heldout.<figure>.<validation> : role, mean_relative_error (CPT rows of runs that were not fitted),
        s1_only_mean_relative_error, ratio, and the same for each run under `runs`.
    recommendations : what fits/recommendations.json says, without its fits and curves; null where there is none.
    checks.<figure> : verdict and list of claim, value, lower, upper, holds.
    figures.<figure>, tables.<table> : path and sha256 of the drawing (PDF) or the table (CSV);
        the same for the CSV of a figure under `data`.
    machine : where this file was made. devices : where branches were trained.
    versions : package -> versions that the branches were trained with.
    corpora : list of name, role, documents, bytes, tokens, sha256, expected_sha256, matches
        (null: none recorded).
    """
    names = material.experiments.chosen(None)
    training = sum(float(seconds) for seconds in material.of_manifests("cpu_seconds"))
    fitting = material.fitting_seconds()
    layout = material.layout
    return {
        "schema": SCHEMA,
        "scale": material.config.scale,
        "seed": material.config.seed,
        "released": released(material),
        "started": material.started,
        "finished": material.finished,
        "wall_seconds": _seconds(material.started, material.finished),
        "cpu_seconds": round(training + fitting, 3),
        "cpu_seconds_training": round(training, 3),
        "cpu_seconds_fitting": round(fitting, 3),
        "branches": len(material.manifests),
        "steps_trained": sum(branch.steps for branch in material.plan.needed(names)),
        "steps_unshared": sum(material.experiments.runs[name].steps for name in names),
        "findings": {one.name: finding(one) for one in material.findings},
        "fits": {figure: found for figure in material.figures if (found := fits(material, figure))},
        "heldout": {figure: found for figure in material.figures if (found := heldout(material, figure))},
        "recommendations": recommendations(material),
        "checks": {
            figure: {
                "verdict": found.verdict,
                "list": [
                    {"claim": c.label, "value": c.value, "lower": c.lower, "upper": c.upper, "holds": c.holds}
                    for c in found.checks
                ],
            }
            for figure, found in all_claims(material).items()
        },
        "figures": {
            figure: {**_file(layout.figure(figure)), "data": _file(layout.figure(figure, "csv"))}
            for figure in material.figures
        },
        "tables": {table: _file(layout.table(table)) for table in tables.available(material.experiments)},
        "machine": machine(),
        "devices": material.devices(),
        "versions": material.versions(),
        "corpora": [{key: corpus[key] for key in CORPUS_KEYS} for corpus in material.corpora()],
    }


def released(material: Material) -> dict[str, str] | None:
    """Which released curves the scale is made from."""
    if material.release is None:
        return None
    return {key: str(material.release.contents[key]) for key in ("name", "kit", "sha256")}


CORPUS_KEYS = (
    "name",
    "role",
    "licence",
    "documents",
    "bytes",
    "tokens",
    "sha256",
    "expected_sha256",
    "matches",
)


def fits(material: Material, figure: str) -> dict[str, Any]:
    """Every fit of a figure that its result keeps with parameters and R2.

    The one that a figure is about, for a validation set, is named by that set: `fits.<role>.chosen`, `fits.<role>`
    or `sets.<role>.forms.s1cpt.power` of the result. Any other one is named by its keys, joined with dots.
    """
    found = {}
    for keys, one, above in _fits(material.result(figure)):
        main = re.fullmatch(r"fits\.\w+(\.chosen)?|sets\.\w+\.forms\.s1cpt\.power", ".".join(keys))
        role = keys[1] if keys[0] in ("fits", "sets") and keys[1] in SIGNS else None
        shown = {"role": one.get("role", role), "validation": one.get("validation", above), **_shown(one)}
        if main and keys[0] == "sets":
            forms = material.pick(figure, *keys[:-1])
            shown["r2_of_forms"] = {form: fit["r2"] for form, fit in forms.items()}
        name = shown["validation"]
        found[name if main and name and name not in found else ".".join(keys)] = shown
    return found


def _fits(value: Any, keys: tuple[str, ...] = (), above: str | None = None) -> list[Found]:
    """Every mapping with parameters and R2: its keys, itself, and the validation set that stands above it."""
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("parameters"), dict) and "r2" in value:
        return [(keys, value, above)]
    above = value["validation"] if isinstance(value.get("validation"), str) else above
    return [found for key, inner in value.items() for found in _fits(inner, (*keys, key), above)]


def _shown(one: dict[str, Any]) -> dict[str, Any]:
    law = (one.get("fit") or one).get("law")
    only_continual = one["r2"] if str(law).startswith("shift") else None  # a shift is there in CPT only
    return {
        "law": law,
        "lambda": one.get("lambda"),
        "parameters": one["parameters"],
        "r2": one["r2"],
        "r2_cpt": one.get("r2_continual", only_continual),
        "huber": one.get("huber_sum"),
        "mean_relative_error": one.get("mean_relative_error"),
        "mean_relative_error_cpt": one.get("mean_relative_error_continual"),
        "skill": one.get("skill"),
    }


def finding(one: Finding) -> dict[str, Any]:
    return {
        "finding": one.finding,
        "claim": one.text,
        "verdict": one.verdict,
        "statistic": {c.name: c.value for c in one.criteria},
        "threshold": {c.name: {"above": c.above, "below": c.below} for c in one.criteria},
    }


def heldout(material: Material, figure: str) -> dict[str, Any]:
    """Of results with predictions of runs that were not fitted, by validation."""
    return {
        one["validation"]: {
            "role": role,
            **_errors(one["pooled"]),
            "runs": {run: _errors(compared) for run, compared in one["runs"].items()},
        }
        for role, one in (material.result(figure).get("predictions") or {}).items()
        if isinstance(one, dict) and {"validation", "pooled", "runs"} <= one.keys() and "s1_only" in one["pooled"]
    }


def recommendations(material: Material) -> dict[str, Any] | None:
    """The result of the figure `recommendations` but for fits and lists as long as curves."""
    if "recommendations" not in material.figures:
        return None
    return dict(_short(material.result("recommendations")))


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_short(item) for item in value if not _bulky(item)]
    if not isinstance(value, dict):
        return value
    return {key: _short(item) for key, item in value.items() if key not in ("fit", "fits") and not _bulky(item)}


def _bulky(value: Any) -> bool:
    return isinstance(value, list) and len(value) > LONGEST


def _errors(compared: dict[str, Any]) -> dict[str, Any]:
    return {
        "mean_relative_error": compared["law"]["mean_relative_error"],
        "s1_only_mean_relative_error": compared["s1_only"]["mean_relative_error"],
        "ratio": compared["ratio"],
    }


def _seconds(started: str, finished: str) -> float:
    try:
        return (dt.datetime.fromisoformat(finished) - dt.datetime.fromisoformat(started)).total_seconds()
    except (TypeError, ValueError):
        raise UserError(
            f"manifests of the branches have times that are not ISO 8601 ({started}, {finished}): train again"
        ) from None


def _file(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise UserError(f"{path} does not exist: make it first (`snakemake {path}`)")
    return {"path": path.as_posix(), "sha256": sha256(path)}
