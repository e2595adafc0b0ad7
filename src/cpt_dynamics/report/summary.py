"""summary.json: what a machine needs to know of a scale. Its keys are a contract, see `summary`."""

import datetime as dt
import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from cpt_dynamics.claims import Verdict
from cpt_dynamics.claims.verdicts import outcome_json, word
from cpt_dynamics.config import Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.fig02.result import Result as Fig02
from cpt_dynamics.figures.fig10.result import Compared
from cpt_dynamics.figures.fig10.result import Result as Fig10
from cpt_dynamics.figures.kit.joint import SIGNS
from cpt_dynamics.figures.kit.result import to_json
from cpt_dynamics.figures.recommendations.result import Result as Recommendations
from cpt_dynamics.files import sha256
from cpt_dynamics.report import tables
from cpt_dynamics.report.material import Corpus, Keys, Material
from cpt_dynamics.versions import machine

Json = dict[str, object]  # a part of summary.json

SCHEMA = "cpt-dynamics/summary/2"
LONGEST = 100  # entries of a list that the summary repeats


def summary(material: Material) -> Json:
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
    checks.<figure> : verdict (null: it is not checked) and list of name, says, path, value, above, below, is, holds.
    figures.<figure>, tables.<table> : path and sha256 of the drawing (PDF) or the table (CSV);
        the same for the CSV of a figure under `data`.
    machine : where this file was made. devices : where branches were trained.
    versions : package -> versions that the branches were trained with.
    corpora : list of name, role, documents, bytes, tokens, sha256, expected_sha256, matches
        (null: none recorded).
    """
    names = material.experiments.chosen(None)
    training = sum(one.cpu_seconds for one in material.manifests)
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
        "findings": {one.name: finding(one) for one in material.verdicts if one.claim.shown_in is None},
        "fits": {figure: found for figure in material.figures if (found := fits(material, figure))},
        "heldout": heldout(material),
        "recommendations": recommendations(material),
        "checks": {
            figure: {
                "verdict": word(checks) if checks else None,
                "list": [{"name": one.name, **outcome_json(one)} for one in checks],
            }
            for figure in material.figures
            for checks in [material.checks(figure)]
        },
        "figures": {
            figure: {**_file(layout.figure(figure)), "data": _file(layout.figure(figure, "csv"))}
            for figure in material.figures
        },
        "tables": {table: _file(layout.table(table)) for table in tables.available(material.experiments)},
        "machine": machine(),
        "devices": [device.model_dump() for device in material.devices()],
        "versions": material.versions(),
        "corpora": [corpus(one) for one in material.corpora],
    }


def released(material: Material) -> dict[str, str] | None:
    """Which released curves the scale is made from."""
    if material.release is None:
        return None
    return {key: str(material.release.contents[key]) for key in ("name", "kit", "sha256")}


def corpus(one: Corpus) -> Json:
    known = one.known
    return {
        "name": one.name,
        "role": one.role,
        "licence": known.source.licence,
        "documents": known.split.documents,
        "bytes": known.split.bytes,
        "tokens": {"train": known.train.count, "validation": known.validation.count},
        "sha256": known.source.sha256,
        "expected_sha256": known.source.expected_sha256,
        "matches": known.source.matches,
    }


class LawOf(BaseModel):
    law: str


class AnyFit(BaseModel):
    """Whatever of a fit the part of a result says that has `parameters` and `r2`."""

    model_config = ConfigDict(alias_generator=lambda name: name.removesuffix("_"))

    role: str | None = None
    validation: str | None = None
    law: str | None = None
    fit: LawOf | None = None
    lambda_: float | None = None
    parameters: dict[str, float | None]
    r2: float | None
    r2_continual: float | None = None
    huber_sum: float | None = None
    mean_relative_error: float | None = None
    mean_relative_error_continual: float | None = None
    skill: float | None = None

    def shown(self, role: str | None, above: str | None) -> Json:
        """What the summary says of it; role, above: role and validation set where it does not name its own."""
        law = self.fit.law if self.fit else self.law
        only_continual = self.r2 if str(law).startswith("shift") else None  # a shift is there in CPT only
        return {
            "role": self.role or role,
            "validation": self.validation or above,
            "law": law,
            "lambda": self.lambda_,
            "parameters": self.parameters,
            "r2": self.r2,
            "r2_cpt": only_continual if self.r2_continual is None else self.r2_continual,
            "huber": self.huber_sum,
            "mean_relative_error": self.mean_relative_error,
            "mean_relative_error_cpt": self.mean_relative_error_continual,
            "skill": self.skill,
        }


def fits(material: Material, figure: str) -> Json:
    """Every fit of a figure that its result keeps with parameters and R2.

    The one that a figure is about, for a validation set, is named by that set: `fits.<role>.chosen`, `fits.<role>`
    or `sets.<role>.forms.s1cpt.power` of the result. Any other one is named by its keys, joined with dots.
    """
    result, found = to_json(material.of_figure(figure)), Json()
    for keys, one, above in _fits(result):
        main = re.fullmatch(r"fits\.\w+(\.chosen)?|sets\.\w+\.forms\.s1cpt\.power", ".".join(keys))
        role = keys[1] if keys[0] in ("fits", "sets") and keys[1] in list(SIGNS) else None
        shown = one.shown(role, above)
        if main and keys[0] == "sets" and isinstance(fig02 := material.of_figure(figure), Fig02):
            forms = fig02.sets[Role(keys[1])].forms.s1cpt
            shown["r2_of_forms"] = {form: fit.r2 for form, fit in forms.items()}
        name = shown["validation"]
        found[str(name) if main and name and name not in found else ".".join(keys)] = shown
    return found


def _fits(value: object, keys: Keys = (), above: str | None = None) -> list[tuple[Keys, AnyFit, str | None]]:
    """Every mapping with parameters and R2: its keys, itself, and the validation set that stands above it."""
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("parameters"), dict) and "r2" in value:
        return [(keys, AnyFit.model_validate(value), above)]
    above = value["validation"] if isinstance(value.get("validation"), str) else above
    return [found for key, inner in value.items() for found in _fits(inner, (*keys, key), above)]


def finding(one: Verdict) -> Json:
    return {
        "finding": one.claim.finding,
        "claim": one.claim.text,
        "verdict": one.word,
        "statistic": {c.name: c.value for c in one.outcomes},
        "threshold": {c.name: {"above": c.above, "below": c.below} for c in one.outcomes},
    }


def heldout(material: Material) -> Json:
    """Errors of the predictions of runs that were not fitted (Fig. 10), by validation set."""
    result = material.result(Fig10)
    if result is None:
        return {}
    by_set = {
        one.validation: {
            "role": role.value,
            **_errors(one.pooled),
            "runs": {run: _errors(compared) for run, compared in one.runs.items()},
        }
        for role, one in result.predictions.items()
    }
    return {"fig10": by_set}


def recommendations(material: Material) -> object:
    """The result of the figure `recommendations` but for fits and lists as long as curves."""
    result = material.result(Recommendations)
    return _short(to_json(result)) if result else None


def _short(value: object) -> object:
    if isinstance(value, list):
        return [_short(item) for item in value if not _bulky(item)]
    if not isinstance(value, dict):
        return value
    return {key: _short(item) for key, item in value.items() if key not in ("fit", "fits") and not _bulky(item)}


def _bulky(value: object) -> bool:
    return isinstance(value, list) and len(value) > LONGEST


def _errors(compared: Compared) -> Json:
    return {
        "mean_relative_error": compared.law.mean_relative_error,
        "s1_only_mean_relative_error": compared.s1_only.mean_relative_error,
        "ratio": compared.ratio,
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
