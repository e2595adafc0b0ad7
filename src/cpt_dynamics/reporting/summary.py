"""summary.json: what a machine needs to know of a scale. Its keys are a contract, see `summary`."""

import datetime as dt
from pathlib import Path
from typing import Any

from cpt_dynamics.errors import UserError
from cpt_dynamics.files import sha256
from cpt_dynamics.reporting import tables
from cpt_dynamics.reporting.claims import all_claims
from cpt_dynamics.reporting.material import Material
from cpt_dynamics.versions import machine

SCHEMA = "cpt-dynamics/summary/1"


def summary(material: Material) -> dict[str, Any]:
    """Everything of a scale in one mapping; a missing input raises `UserError`.

    schema; scale; seed.
    started, finished : of training, from the manifests of the branches (ISO 8601, UTC).
    wall_seconds : from the earliest start of a branch to the latest end of one. Branches trained side by side
        count once; a break between two calls of the workflow counts too.
    cpu_seconds : of training all branches (cpu_seconds_training) and of all fits that the results keep
        (cpu_seconds_fitting); corpora, tables and figures are not counted.
    branches, steps_trained, steps_unshared : branches, their steps, and the steps of all runs
        had none been shared.
    fits.<figure>.<validation> : role, law, lambda, parameters, r2, r2_cpt (CPT rows), huber (sum over rows),
        mean_relative_error and mean_relative_error_cpt, skill; null where a law has none.
    heldout.<figure>.<validation> : role, mean_relative_error (CPT rows of runs that were not fitted),
        s1_only_mean_relative_error, ratio, and the same for each run under `runs`.
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
        "started": material.started,
        "finished": material.finished,
        "wall_seconds": _seconds(material.started, material.finished),
        "cpu_seconds": round(training + fitting, 3),
        "cpu_seconds_training": round(training, 3),
        "cpu_seconds_fitting": round(fitting, 3),
        "branches": len(material.manifests),
        "steps_trained": sum(branch.steps for branch in material.plan.needed(names)),
        "steps_unshared": sum(material.experiments.runs[name].steps for name in names),
        "fits": {figure: found for figure in material.figures if (found := fits(material, figure))},
        "heldout": {figure: found for figure in material.figures if (found := heldout(material, figure))},
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
    """Joint fits (`fits.<role>.chosen`) and fits of the shift (`sets.<role>.forms`), by validation set."""
    result = material.result(figure)
    found = {}
    for role, one in result.get("fits", {}).items():
        chosen = one["chosen"]
        found[chosen["validation"]] = {
            "role": role,
            "law": chosen["fit"]["law"],
            "lambda": chosen["lambda"],
            "parameters": chosen["parameters"],
            "r2": chosen["r2"],
            "r2_cpt": chosen["r2_continual"],
            "huber": chosen["huber_sum"],
            "mean_relative_error": chosen["mean_relative_error"],
            "mean_relative_error_cpt": chosen["mean_relative_error_continual"],
            "skill": chosen["skill"],
        }
    for role, one in result.get("sets", {}).items():
        power = one["forms"]["s1cpt"]["power"]
        found[one["validation"]] = {
            "role": role,
            "law": power["fit"]["law"],
            "lambda": None,
            "parameters": power["parameters"],
            "r2": power["r2"],
            "r2_cpt": power["r2"],
            "huber": power["huber_sum"],
            "mean_relative_error": None,
            "mean_relative_error_cpt": None,
            "skill": None,
            "r2_of_forms": {form: fit["r2"] for form, fit in one["forms"]["s1cpt"].items()},
        }
    return found


def heldout(material: Material, figure: str) -> dict[str, Any]:
    """Of results with predictions of runs that were not fitted, by validation."""
    return {
        one["validation"]: {
            "role": role,
            **_errors(one["pooled"]),
            "runs": {run: _errors(compared) for run, compared in one["runs"].items()},
        }
        for role, one in material.result(figure).get("predictions", {}).items()
    }


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
