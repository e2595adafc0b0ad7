"""Fit a law to losses, and say how far the result can be trusted."""

import hashlib
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, get_type_hints

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, create_model

import cpt_dynamics
from cpt_dynamics.areas import Warmup
from cpt_dynamics.config import explain
from cpt_dynamics.errors import UserError, short
from cpt_dynamics.fitting import paper, varpro, warnings
from cpt_dynamics.fitting.identifiability import identifiability
from cpt_dynamics.fitting.metrics import measure, skill
from cpt_dynamics.fitting.paper import Gradient
from cpt_dynamics.fitting.problem import Problem
from cpt_dynamics.laws import Array, Features, Law, Parameters, get
from cpt_dynamics.laws.base import HISTORY

Method = Literal["varpro", "paper"]
OPTIMAL = 1e-4  # largest `Problem.optimality` of a fit that is called converged
Numbers = dict[str, FiniteFloat]
MaybeNumbers = dict[str, float | None]
ROUNDING = 1e-6  # by which a stored parameter may be beyond its bound


@dataclass(frozen=True)
class Fit:
    """A fitted law."""

    __pydantic_config__: ClassVar = {"use_attribute_docstrings": True}  # of the JSON schema (see `config_docs`)

    law: Law
    """In JSON its name, beside its `source`, `bounds` and fixed parameters (`held`)."""
    parameters: dict[str, float]
    """In the units of the features."""
    objective: float
    """Sum over rows of Huber(delta) of log(observed) - log(predicted); for laws of a difference, of plain ones."""
    method: str
    """How the best parameters were searched: `varpro` or `paper`."""
    delta: float
    """Of the Huber function: the residual from which on it grows linearly."""
    converged: bool
    """Whether `optimality` is small; never the optimizer's own word."""
    optimality: float
    """See `Problem.optimality`."""
    at_bounds: list[str]
    """Parameters at a bound: "name=lower" or "name=upper"."""
    n_starts: int
    """Starts of the search."""
    n_agree: int
    """How many of them came within 1 % of the best objective."""
    n_points: int
    """Fitted rows."""
    cpu_seconds: float
    """CPU time of the search."""
    metrics: dict[str, dict[str, float]]
    """Errors (see `metrics.measure`) over "all" rows and over "continual" ones (S1cpt > 0)."""
    contributions: dict[str, float]
    """The largest size of each term over the data, by its coefficient (nats/token)."""
    combinations: dict[str, float]
    """Products that stay determined where single parameters do not."""
    condition: float | None
    """See `Identifiability`; none where it is infinite."""
    warnings: list[str]
    """What the data lack and what is doubtful in the search, one line each."""
    ranges: dict[str, list[float]]
    """Smallest and largest fitted value of each input (see `warnings.input_ranges`)."""
    settings: dict[str, Any]
    """How the areas were made."""
    data_hash: str
    """sha256 of the features that the law reads and of the losses."""
    versions: dict[str, str]
    """Of the software that the fit depends on."""

    def predict(self, features: Features) -> Array:
        """The law's value for every row, [n]; `UserError` for areas made otherwise than the fitted ones."""
        for key, theirs in settings_of(features).items():
            if self.settings.get(key, theirs) != theirs:
                raise UserError(
                    f"the fit has {key} = {self.settings[key]!r}, the features have {theirs!r}:"
                    " compute the features with the fit's settings"
                )
        return self.law.predict(self.parameters, features)

    def to_json(self) -> dict[str, Any]:
        """A JSON-able mapping from which `from_json` makes the same fit."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "law"}
        bounds = {p.name: [_plain(p.lower), _plain(p.upper)] for p in self.law.parameters}
        held = dict(self.law.held)
        return {"law": self.law.name, "source": self.law.source, "bounds": bounds, "held": held, **plain}

    @classmethod
    def from_json(cls, value: dict[str, Any], law: Law | None = None) -> "Fit":
        """The fit that `to_json` wrote; `law` stands in for one that is not registered.

        `UserError` names the key that is missing, of another type, no finite number or not what the law allows.
        """
        try:
            stored = _stored().model_validate(value)
        except ValidationError as error:
            raise UserError(f"{explain(error.errors()[0], 'this is not a fit')} (fit again)") from None
        value = {**value, **{name: getattr(stored, name) for name in ("held", "bounds", "parameters", "ranges")}}
        law = law or get(value["law"])
        # what the law itself holds is in the file, too
        held = {name: number for name, number in value["held"].items() if law.held.get(name) != number}
        unknown = (held.keys() | value["bounds"].keys()) - {p.name for p in law.parameters}
        if unknown:
            raise UserError(f"this is not a fit: law {law.name!r} has no parameter {short(min(unknown))} (fit again)")
        bounds = {
            name: (-np.inf if low is None else low, np.inf if high is None else high)
            for name, (low, high) in value["bounds"].items()
        }
        names = [f.name for f in fields(cls) if f.name != "law"]
        found = cls(law=law.fixed(**held).bounded(**bounds), **{name: value[name] for name in names})
        found._check_parameters()
        return found

    def _check_parameters(self) -> None:
        """Raise `UserError` unless the parameters are the law's, and within its bounds where these are known."""
        stated = {p.name: p for p in self.law.parameters}
        for name in stated.keys() ^ self.parameters.keys():
            what = f"parameter {short(name)} is missing" if name in stated else f"there is no parameter {short(name)}"
            raise UserError(f"this is not a fit: {what} (fit again)")
        for name, p in stated.items():
            scale = max(map(abs, self.ranges.get(p.per, [np.nan]))) or 1.0 if p.per else 1.0  # see `Law.bounds`
            value = self.parameters[name] * scale
            slack = ROUNDING * abs(value)
            if value < p.lower - slack or value > p.upper + slack:
                said = f"{name} is {self.parameters[name]:g}, outside its bounds"
                raise UserError(f"this is not a fit: {said} (fit again)")


class _Settings(BaseModel):
    """The `settings` of a stored fit (see `areas.AreaSettings`), as far as the features told them."""

    model_config = ConfigDict(strict=True, extra="forbid")

    lambda_: float = Field(0.0, alias="lambda", ge=0, lt=1)
    warmup: Warmup = "peak"
    carry_over: bool = True
    lr_power: float = Field(0.0, ge=0, le=10)


@cache
def _stored() -> type[BaseModel]:
    """The shape of what `Fit.to_json` gives, as a file holds it: null where JSON has no word for a number."""
    kinds: dict[str, Any] = {
        **{name: kind for name, kind in get_type_hints(Fit).items() if not name.startswith("__")},
        "law": str,
        "held": Numbers,
        "bounds": dict[str, Annotated[list[float | None], Field(min_length=2, max_length=2)]],
        "parameters": Numbers,
        "delta": Annotated[FiniteFloat, Field(gt=0)],
        "optimality": float | None,
        "metrics": dict[str, MaybeNumbers],
        "contributions": MaybeNumbers,
        "combinations": MaybeNumbers,
        "ranges": dict[str, Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]],
        "settings": _Settings,
    }
    required: dict[str, Any] = {name: (kind, ...) for name, kind in kinds.items()}
    return create_model("StoredFit", __config__=ConfigDict(strict=True), **required)


def fit(
    law: Law | str,
    features: Features,
    loss: Any,
    method: Method = "varpro",
    delta: float = 1e-3,
    n_starts: int | None = None,
    gradient: Gradient = "numerical",
    n_screen: int = 256,
    max_rows: int = 1000,
    starts: Sequence[Parameters] = (),
) -> Fit:
    """Fit `law` to `loss`, [n] (nats/token), on the rows of `features`.

    method: "varpro" (see `varpro`) or "paper" (multi-start L-BFGS on all parameters, with `gradient`);
    both minimise the same objective.
    n_screen, max_rows, starts (parameters of the law): of `varpro.search`; "paper" has starts of its own.
    """
    law = get(law) if isinstance(law, str) else law
    if not delta > 0:
        raise UserError(f"delta is {delta}: it must be above 0")
    observed = np.asarray(loss, dtype=np.float64)
    problem = Problem(law, features, observed, delta)
    start = time.process_time()
    if method == "varpro":
        point, n_starts, n_agree = varpro.search(problem, n_starts or 12, n_screen, max_rows, starts)
    elif method == "paper":
        point, n_starts, n_agree = paper.search(problem, n_starts or 54, gradient)
    else:
        raise UserError(f"method is {method!r}: choose varpro or paper")
    seconds = time.process_time() - start

    parameters = problem.parameters(point)
    optimality = problem.optimality(point)
    known = identifiability(law, parameters, problem.x)
    low, high = problem.on_bounds(point)
    at_bounds = [
        f"{name}={side}"
        for side, there in (("lower", low), ("upper", high))
        for name, on in zip(problem.names, there, strict=True)
        if on and name not in known.undetermined
    ]
    predicted = law.predict(parameters, problem.x)
    rows = warnings.continual(problem.x)
    return Fit(
        law=law,
        parameters=parameters,
        objective=problem.value(point),
        method=method,
        delta=delta,
        converged=optimality <= OPTIMAL,
        optimality=optimality,
        at_bounds=at_bounds,
        n_starts=n_starts,
        n_agree=n_agree,
        n_points=len(observed),
        cpu_seconds=seconds,
        metrics={
            "all": measure(observed, predicted, delta, law.residual),
            "continual": measure(observed[rows], predicted[rows], delta, law.residual),
        },
        contributions=dict(zip(law.linear, np.abs(point[: problem.n_linear]).tolist(), strict=True)),
        combinations=law.combinations(parameters),
        condition=known.condition if np.isfinite(known.condition) else None,
        warnings=[
            *warnings.fit_warnings(law, problem.x, features, known),
            *_search_warnings(optimality, at_bounds, n_starts, n_agree),
        ],
        ranges=warnings.input_ranges(features, problem.x),
        settings=settings_of(features),
        data_hash=data_hash(problem.x, observed),
        versions=versions(),
    )


def fit_skill(found: Fit, features: Features, loss: Any) -> float:
    """`metrics.skill` of a fit on the CPT rows of `features`, its baseline fitted to the same rows here."""
    if not found.law.baseline:
        raise UserError(f"law {found.law.name!r} has no baseline without annealing: skill is not defined")
    observed = np.asarray(loss, dtype=np.float64)
    bounds = {p.name: (p.lower, p.upper) for p in found.law.parameters}
    law = get(found.law.baseline)
    names = [p.name for p in law.parameters]
    law = law.fixed(**{name: value for name, value in found.law.held.items() if name in names})
    law = law.bounded(**{p.name: bounds[p.name] for p in law.parameters})
    baseline = fit(law, features, observed, method="varpro", delta=found.delta)
    rows = np.asarray(features["s1cpt"], dtype=np.float64) > 0
    if not rows.any():
        raise UserError("skill is defined on CPT rows, and there is none: add rows after a transfer")
    return skill(observed[rows], found.predict(features)[rows], baseline.predict(features)[rows])


def settings_of(features: Features) -> dict[str, Any]:
    """How the areas of the rows were made (see `areas.AreaSettings`); nothing where the features do not say."""
    made = warnings.column(features, "settings")
    distinct = [] if made is None else list(dict.fromkeys(made.tolist()))
    if len(distinct) > 1:
        raise UserError(f"the features have areas made in {len(distinct)} ways: compute all of them with one")
    return distinct[0].to_json() if distinct else {}


def data_hash(arrays: dict[str, Array], loss: Array) -> str:
    """sha256 (hexadecimal) of the features that a law reads and of the losses."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        found.update(name.encode() + b"\0")
        for array in _numbers(name, arrays[name]):
            found.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    found.update(np.ascontiguousarray(loss, dtype="<f8").tobytes())
    return found.hexdigest()


def _numbers(name: str, array: Array) -> list[Array]:
    """A feature as arrays of numbers: itself, or the LR histories and which of them each row has."""
    if name != HISTORY:
        return [array]
    distinct = list(dict.fromkeys(array.tolist()))
    number = {history: i for i, history in enumerate(distinct)}
    rows = np.array([number[history] for history in array.tolist()], dtype=np.float64)
    return [part for history in distinct for part in (history.forward, history.annealed)] + [rows]


def versions() -> dict[str, str]:
    """Versions of the software that a fit depends on."""
    import scipy

    return {
        "cpt_dynamics": cpt_dynamics.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "scipy": scipy.__version__,
    }


def _plain(bound: float) -> float | None:
    return bound if np.isfinite(bound) else None


def _search_warnings(optimality: float, at_bounds: list[str], n_starts: int, n_agree: int) -> list[str]:
    """What is doubtful in where the search ended."""
    found = [f"{end.replace('=', ' is at its ')} bound" for end in at_bounds]
    if optimality > OPTIMAL:
        found.append(f"not converged (optimality {optimality:.1e}, wanted {OPTIMAL:.0e}): use more starts")
    if n_starts > 1 and n_agree == 1:
        found.append(f"only one of {n_starts} starts reached the best objective: use more starts")
    return found
