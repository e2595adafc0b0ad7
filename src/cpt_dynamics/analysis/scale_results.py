"""Results of a scale in one small file, released beside its curves, so that other scales can be compared with it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cpt_dynamics.analysis import findings
from cpt_dynamics.analysis.findings import Finding
from cpt_dynamics.config import Config
from cpt_dynamics.curves.released import CONTENTS, RESULTS, Release
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Experiments
from cpt_dynamics.figures.kit.joint import SETS
from cpt_dynamics.files import read_json

SCHEMA = "cpt-dynamics/results/1"
DIGITS = 8  # significant ones that are kept: more are those of one machine


@dataclass(frozen=True)
class Compared:
    """A fit that scales are compared by: its figure, and the keys of its result that lead to the fit of a role."""

    figure: str
    path: str

    def of(self, results: Mapping[str, Any], role: str) -> Any:
        """The fit on the validation set of a role; None where the scale has no such fit."""
        return within(results, self.figure, *self.path.format(role=role).split("."))


FITS: dict[str, Compared] = {
    "eq4": Compared("fig03", "fits.{role}.chosen"),
    "eq7": Compared("fig15", "fits.{role}"),
    "eq8": Compared("fig19", "fits.{role}.printed"),
    "eq9_eps_0.1": Compared("fig20", "sets.{role}.variants.lr_weighted_01"),
    "eq9_eps_0.2": Compared("fig20", "sets.{role}.variants.lr_weighted_02"),
    "eq10": Compared("fig20", "sets.{role}.variants.power"),
}
BESIDE = ("fig10", "seeds")  # figures that are read besides those of the fits and of the claims


def figures(experiments: Experiments) -> list[str]:
    """Figures of a scale whose results are read here, in its order."""
    wanted = {*BESIDE, *(one.figure for one in FITS.values()), *findings.load().figures}
    return [name for name in experiments.shown if name in wanted and experiments.figures[name].curves == "runs"]


def scale_results(results: Mapping[str, Any], found: Iterable[Finding], config: Config, kit: str) -> dict[str, Any]:
    """What the fits of a scale gave.

    results: figure -> what its analysis found, of `figures`; found: the verdicts.

    schema; scale; kit: version.
    setting : parameters (of the model of Fig. 3, without embeddings), peak_lr, batch_tokens, pretraining and continual
        (steps), lambda, vocabulary (null: of a pretrained tokenizer), general and strong (corpora).
    fits.<law>.<role> : parameters, combinations (products that stay determined where single parameters do not),
        terms (the largest size of each linear term over the fitted rows, nats/token), intervals (90 % of the mean over
        seeds: low, high, seeds; only where there are several), r2, r2_cpt (CPT rows), mean_relative_error_cpt,
        heldout (see the function of that name).
    findings.<claim> : finding (null: a question that the paper leaves open), claim, verdict, criteria.<name>: path,
        value (null: not defined), above, below.
    """
    known = {name: {role: one.of(results, role) for role in SETS} for name, one in FITS.items()}
    return {
        "schema": SCHEMA,
        "scale": config.scale,
        "kit": kit,
        "setting": _setting(results, config),
        "fits": {
            name: {role: _fit(name, role, fit, results) for role, fit in roles.items() if fit}
            for name, roles in known.items()
            if any(roles.values())
        },
        "findings": {one.name: _finding(one) for one in found},
    }


def _setting(results: Mapping[str, Any], config: Config) -> dict[str, Any]:
    size = within(results, "fig03", "fits", "general", "chosen", "fit", "ranges", "params")
    return {
        "parameters": None if size is None else int(size[-1]),
        "peak_lr": config.optimizer.peak_lr,
        "batch_tokens": config.batch.sequences * config.batch.length,
        "pretraining": config.lengths.pretraining,
        "continual": config.lengths.continual,
        "lambda": config.law.lambda_,
        "vocabulary": None if config.tokenizer.pretrained else config.tokenizer.vocabulary,
        "general": config.roles.general,
        "strong": config.roles.strong,
    }


def _fit(law: str, role: str, summary: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    fit = summary["fit"]
    return {
        "parameters": _rounded(fit["parameters"]),
        "combinations": _rounded(fit["combinations"]),
        "terms": _rounded(fit["contributions"]),
        "intervals": _intervals(role, results) if law == "eq4" else {},
        "r2": _short(summary["r2"]),
        "r2_cpt": _short(summary["r2_continual"]),
        "mean_relative_error_cpt": _short(summary["mean_relative_error_continual"]),
        "heldout": heldout(law, role, results),
    }


def heldout(law: str, role: str, results: Mapping[str, Any]) -> dict[str, Any] | None:
    """Errors of a law on CPT rows that were not fitted: what was left out, and its mean relative error.

    Eq. 4: the unseen schedules of Fig. 10, also the error of the law without annealing areas and the `ratio` of the
    two. Eq. 7 and 8: each model size and each replay ratio in turn, a mean over them. Eq. 9 and 10: the held-out runs
    of Fig. 20, a mean over them. None where the scale has no such runs.
    """
    if law == "eq4":
        pooled = within(results, "fig10", "predictions", role, "pooled")
        return pooled and {
            "left_out": "schedules",
            "mean_relative_error": _short(pooled["law"]["mean_relative_error"]),
            "s1_only_mean_relative_error": _short(pooled["s1_only"]["mean_relative_error"]),
            "ratio": _short(pooled["ratio"]),
        }
    if law == "eq7":
        sizes = [one["prediction"] for one in (within(results, "fig15", "left_out", role) or {}).values()]
        error = sum(sizes) / len(sizes) if sizes and None not in sizes else None
        what = "model sizes"
    else:
        path = ("left_out_mean",) if law == "eq8" else ("heldout", "mean")
        error = within(FITS[law].of(results, role), *path)
        what = "replay ratios" if law == "eq8" else "runs of Fig. 20"
    return None if error is None else {"left_out": what, "mean_relative_error": _short(error)}


def _intervals(role: str, results: Mapping[str, Any]) -> dict[str, Any]:
    """90 % intervals over seeds of the parameters and combinations of Eq. 4."""
    law = within(results, "seeds", "law", role) or {}
    known = {**law.get("parameters", {}), **law.get("combinations", {})}
    return {
        name: {"low": _short(one["low"]), "high": _short(one["high"]), "seeds": one["n"]}
        for name, one in known.items()
        if one["low"] is not None
    }


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "finding": one.finding,
        "claim": one.text,
        "verdict": one.verdict,
        "criteria": {
            c.name: {"path": c.path, "value": _short(c.value), "above": c.above, "below": c.below} for c in one.criteria
        },
    }


def within(value: Any, *keys: str) -> Any:
    """`value[keys[0]][keys[1]]...`, or None where a key is missing."""
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value


def _rounded(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: _short(value) for name, value in values.items()}


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")


# --- released ones -----------------------------------------------------------------------------------------------


def others(config: Config) -> list[Path]:
    """Folders of released curves of other scales that have results, by name."""
    found = sorted(Path(config.released).glob(f"*/{RESULTS}"))
    return [path.parent for path in found if path.parent.name != config.scale and (path.parent / CONTENTS).exists()]


def alone(config: Config) -> str:
    """What is said where there is no other scale."""
    return (
        f"{config.released} holds no other scale with results to compare {config.scale} with: put one there, or release"
        " one with `cpt-dynamics release`"
    )


def read(folder: Path) -> dict[str, Any]:
    """Results of a folder of released curves; `UserError` unless they belong to the curves that lie there."""
    release = Release.open(folder)
    path = release.path(RESULTS)
    found = read_json(path)
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema != SCHEMA:
        raise UserError(f"{path} has schema {schema!r}, this kit reads {SCHEMA!r}: use the kit that it was made for")
    if found.get("curves") != release.contents["files"]["curves.parquet"]["sha256"]:
        raise UserError(f"{path} belongs to other curves than those beside it: fetch the released curves again")
    return dict(found)
