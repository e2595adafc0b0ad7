"""Results of a scale in one small file, released beside its curves, so that other scales can be compared with it."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, ValidationError

from cpt_dynamics import claims
from cpt_dynamics.claims import Verdict, Word
from cpt_dynamics.config import Config, Role, explain
from cpt_dynamics.curves.released import CONTENTS, RESULTS, Release
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Experiments
from cpt_dynamics.figures.fig03.result import Result as Fig03
from cpt_dynamics.figures.fig10.result import Result as Fig10
from cpt_dynamics.figures.fig15.result import Result as Fig15
from cpt_dynamics.figures.fig19.result import Result as Fig19
from cpt_dynamics.figures.fig20.result import Result as Fig20
from cpt_dynamics.figures.kit.joint import SETS
from cpt_dynamics.figures.kit.result import FigureResult, JointFit, Part
from cpt_dynamics.figures.seeds.result import Result as Seeds
from cpt_dynamics.files import read_json

DIGITS = 8  # significant ones that are kept: more are those of one machine
R = TypeVar("R", bound=FigureResult)
Results = Mapping[str, FigureResult]
Numbers = dict[str, float | None]


class Setting(Part):
    """What differs between scales."""

    parameters: int | None = Field(description="of the model of Fig. 3, without embeddings")
    peak_lr: float
    batch_tokens: int
    pretraining: int = Field(description="steps")
    continual: int = Field(description="steps")
    lambda_: float
    vocabulary: int | None = Field(description="null: of a pretrained tokenizer")
    general: str
    strong: str


class Interval(Part):
    """90 % interval of the mean over seeds."""

    low: float
    high: float
    seeds: int


class HeldOut(Part):
    """Errors of a law on CPT rows that were not fitted."""

    left_out: str
    mean_relative_error: float
    s1_only_mean_relative_error: float | None = Field(None, description="of the law without annealing areas")
    ratio: float | None = Field(None, description="of the two errors")


class ComparedFit(Part):
    """A fit that scales are compared by."""

    parameters: Numbers
    combinations: Numbers = Field(description="products that stay determined where single parameters do not")
    terms: Numbers = Field(description="largest size of each linear term over the fitted rows (nats/token)")
    intervals: dict[str, Interval] = Field(description="of parameters and combinations, where there are several seeds")
    r2: float | None
    r2_cpt: float | None = Field(description="on CPT rows")
    mean_relative_error_cpt: float | None
    heldout: HeldOut | None

    def value(self, name: str) -> float | None:
        """A parameter or combination."""
        return {**self.parameters, **self.combinations}.get(name)


class StoredCriterion(Part):
    path: str
    value: float | None = Field(description="null: not defined")
    above: float | None
    below: float | None
    is_: bool | None = None


class StoredVerdict(Part):
    finding: int | None = Field(description="null: a question that the paper leaves open")
    claim: str
    verdict: Word
    criteria: dict[str, StoredCriterion]


class ScaleResults(Part):
    """What the fits of a scale gave."""

    schema_: Literal["cpt-dynamics/results/2"] = "cpt-dynamics/results/2"
    scale: str
    kit: str = Field(description="its version")
    setting: Setting
    fits: dict[str, dict[Role, ComparedFit]] = Field(description="by law and validation set")
    findings: dict[str, StoredVerdict]
    curves: str | None = Field(None, description="sha256 of the released curves that they are of")


def _eq4(results: Results, role: Role) -> JointFit | None:
    found = get(results, Fig03)
    return found.fits[role].chosen if found else None


def _eq7(results: Results, role: Role) -> JointFit | None:
    found = get(results, Fig15)
    return found.fits[role] if found else None


def _eq8(results: Results, role: Role) -> JointFit | None:
    found = get(results, Fig19)
    return found.fits[role].printed if found else None


def _variant(name: str) -> Callable[[Results, Role], JointFit | None]:
    def of(results: Results, role: Role) -> JointFit | None:
        found = get(results, Fig20)
        return found.sets[role].variants[name] if found else None

    return of


# Law -> its fit on a validation set; None where the scale has no such fit.
FITS: dict[str, Callable[[Results, Role], JointFit | None]] = {
    "eq4": _eq4,
    "eq7": _eq7,
    "eq8": _eq8,
    "eq9_eps_0.1": _variant("lr_weighted_01"),
    "eq9_eps_0.2": _variant("lr_weighted_02"),
    "eq10": _variant("power"),
}
READ: tuple[type[FigureResult], ...] = (Fig03, Fig10, Fig15, Fig19, Fig20, Seeds)


def get(results: Results, kind: type[R]) -> R | None:
    """The result of a figure, by its type; None where the scale does not have it."""
    found = results.get(kind.FIGURE)
    assert found is None or isinstance(found, kind)
    return found


def figures(experiments: Experiments) -> list[str]:
    """Figures of a scale whose results are read here, in its order."""
    wanted = {*(kind.FIGURE for kind in READ), *claims.load().figures}
    return [name for name in experiments.shown if name in wanted and experiments.figures[name].curves == "runs"]


def scale_results(results: Results, verdicts: Iterable[Verdict], config: Config, kit: str) -> ScaleResults:
    """What the fits of a scale gave. results: figure -> its result, of `figures`."""
    known = {name: {role: of(results, role) for role in SETS} for name, of in FITS.items()}
    return ScaleResults(
        scale=config.scale,
        kit=kit,
        setting=_setting(results, config),
        fits={
            name: {role: _fit(name, role, fit, results) for role, fit in roles.items() if fit}
            for name, roles in known.items()
            if any(roles.values())
        },
        findings={one.name: _verdict(one) for one in verdicts if one.claim.shown_in is None},
    )


def _setting(results: Results, config: Config) -> Setting:
    fig03 = get(results, Fig03)
    sizes = fig03.fits[Role.GENERAL].chosen.fit.ranges.get("params") if fig03 else None
    return Setting(
        parameters=int(sizes[-1]) if sizes else None,
        peak_lr=config.optimizer.peak_lr,
        batch_tokens=config.batch.sequences * config.batch.length,
        pretraining=config.lengths.pretraining,
        continual=config.lengths.continual,
        lambda_=config.law.lambda_,
        vocabulary=None if config.tokenizer.pretrained else config.tokenizer.vocabulary,
        general=config.roles.general,
        strong=config.roles.strong,
    )


def _fit(law: str, role: Role, found: JointFit, results: Results) -> ComparedFit:
    return ComparedFit(
        parameters=_rounded(found.fit.parameters),
        combinations=_rounded(found.fit.combinations),
        terms=_rounded(found.fit.contributions),
        intervals=_intervals(role, results) if law == "eq4" else {},
        r2=_short(found.r2),
        r2_cpt=_short(found.r2_continual),
        mean_relative_error_cpt=_short(found.mean_relative_error_continual),
        heldout=heldout(law, role, results),
    )


def heldout(law: str, role: Role, results: Results) -> HeldOut | None:
    """Errors of a law on CPT rows that were not fitted: what was left out, and its mean relative error.

    Eq. 4: the unseen schedules of Fig. 10, also the error of the law without annealing areas and the ratio of the
    two. Eq. 7 and 8: each model size and each replay ratio in turn, a mean over them. Eq. 9 and 10: the held-out runs
    of Fig. 20, a mean over them. None where the scale has no such runs.
    """
    fig10, fig15, fig19 = get(results, Fig10), get(results, Fig15), get(results, Fig19)
    if law == "eq4":
        if fig10 is None:
            return None
        pooled = fig10.predictions[role].pooled
        return HeldOut(
            left_out="schedules",
            mean_relative_error=_short(pooled.law.mean_relative_error),
            s1_only_mean_relative_error=_short(pooled.s1_only.mean_relative_error),
            ratio=_short(pooled.ratio),
        )
    if law == "eq7":
        sizes = [one.prediction for one in fig15.left_out[role].values()] if fig15 else []
        known = [error for error in sizes if error is not None]
        error, what = sum(known) / len(known) if known and len(known) == len(sizes) else None, "model sizes"
    elif law == "eq8":
        error, what = fig19.fits[role].printed.left_out_mean if fig19 else None, "replay ratios"
    else:
        fig20 = get(results, Fig20)
        variant = {"eq9_eps_0.1": "lr_weighted_01", "eq9_eps_0.2": "lr_weighted_02", "eq10": "power"}[law]
        error, what = fig20.sets[role].variants[variant].heldout.mean if fig20 else None, "runs of Fig. 20"
    return None if error is None else HeldOut(left_out=what, mean_relative_error=_short(error))


def _intervals(role: Role, results: Results) -> dict[str, Interval]:
    """90 % intervals over seeds of the parameters and combinations of Eq. 4."""
    seeds = get(results, Seeds)
    law = seeds.law[role] if seeds else None
    if law is None:
        return {}
    return {
        name: Interval(low=_short(one.low), high=_short(one.high), seeds=one.n)
        for name, one in {**law.parameters, **law.combinations}.items()
        if one.low is not None
    }


def _verdict(one: Verdict) -> StoredVerdict:
    criteria = {
        c.name: StoredCriterion(path=c.path, value=_short(c.value), above=c.above, below=c.below, is_=c.is_)
        for c in one.outcomes
    }
    return StoredVerdict(finding=one.claim.finding, claim=one.claim.text, verdict=one.word, criteria=criteria)


def _rounded(values: Mapping[str, float]) -> Numbers:
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


def read(folder: Path) -> ScaleResults:
    """Results of a folder of released curves; `UserError` unless they belong to the curves that lie there."""
    release = Release.open(folder)
    path = release.path(RESULTS)
    try:
        found = ScaleResults.model_validate(read_json(path))
    except ValidationError as error:
        raise UserError(f"{explain(error.errors()[0], str(path))} (use the kit that it was made for)") from None
    if found.curves != release.contents["files"]["curves.parquet"]["sha256"]:
        raise UserError(f"{path} belongs to other curves than those beside it: fetch the released curves again")
    return found
