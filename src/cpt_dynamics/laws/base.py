"""What a law is: a sum of terms, each a linear coefficient times a column of the features."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from cpt_dynamics.errors import UserError

Array = NDArray[np.float64]
Parameters = Mapping[str, float]
Show = Callable[[str], str]  # what stands for a parameter in a text: its name, or its value
AREAS = {"s1pt": "S1pt", "s2pt": "S2pt", "s1cpt": "S1cpt", "s2cpt": "S2cpt"}  # features as formulas write them
HISTORY = "history"  # the feature that is not a number a row but the run's LR history (`areas.History`)


class Features(Protocol):
    """Anything with named columns: the table of `curves.features`, or a mapping of arrays of one length."""

    def __getitem__(self, key: str, /) -> Any: ...


@dataclass(frozen=True)
class Parameter:
    """One parameter of a law.

    Linear parameters have bounds among 0 and +-infinity. Nonlinear ones have finite bounds; a positive
    lower one means that the parameter is searched on a logarithmic scale. With `per`, the bounds hold for
    the parameter times the largest value of that feature, so that they do not depend on its unit.
    """

    name: str
    lower: float
    upper: float
    linear: bool
    description: str
    per: str = ""


@dataclass(frozen=True)
class Term:
    """`sign * coefficient * value(shape, x)`; `x` holds the arrays named by `inputs`, each of shape [n]."""

    coefficient: Parameter
    inputs: tuple[str, ...] = ()
    shape: tuple[Parameter, ...] = ()
    sign: int = 1

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        """The column, [n]."""
        raise NotImplementedError

    def slopes(self, shape: Parameters, x: Mapping[str, Array]) -> dict[str, Array]:
        """Derivatives of the column with respect to the shape parameters, each [n]."""
        return {}

    def combinations(self, parameters: Parameters) -> dict[str, float]:
        """Products that data can pin down where the single parameters slide along each other."""
        return {}

    def total(self, x: Mapping[str, Array]) -> Array:
        """Sum of the input columns, [n]."""
        result = x[self.inputs[0]]
        for name in self.inputs[1:]:
            result = result + x[name]
        return result

    def text(self, show: Show) -> str:
        """The column in a formula, such as `(1 - exp(-E*S1cpt))`; "" for 1. `show`: what stands for a parameter."""
        return f"{type(self).__name__}({'; '.join([self.sum_text(), *self.shape_text(show)])})"

    def sum_text(self) -> str:
        """The sum of the inputs in a formula."""
        return " + ".join(AREAS.get(name, name) for name in self.inputs)

    def total_text(self) -> str:
        """The same as a factor, in brackets where it is a sum."""
        return f"({self.sum_text()})" if len(self.inputs) > 1 else self.sum_text()

    def shape_text(self, show: Show) -> list[str]:
        """What stands for the shape parameters, negative numbers in brackets."""
        shown = [show(p.name) for p in self.shape]
        return [f"({text})" if text.startswith("-") else text for text in shown]


class Constant(Term):
    """A coefficient by itself."""

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        return np.ones(len(next(iter(x.values()))))

    def text(self, show: Show) -> str:
        return ""


@dataclass(frozen=True)
class Law:
    """A formula for a loss (or a difference of losses) from features.

    name: key in the registry. source: paper and equation. residual: "log" where the formula gives a loss
    (errors are then differences of logarithms), "linear" where it gives a difference, which may be zero or
    negative. baseline: the law without annealing that this one is compared with, "" for none. held: values
    of parameters that are fixed (see `fixed`); they are no parameters of this law any more.
    """

    name: str
    source: str
    terms: tuple[Term, ...]
    residual: Literal["log", "linear"] = "log"
    baseline: str = ""
    held: Parameters = field(default_factory=dict)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters, each once, coefficients before the shape parameters of their term."""
        found: dict[str, Parameter] = {}
        for term in self.terms:
            for parameter in (term.coefficient, *term.shape):
                if parameter.name not in self.held:
                    found.setdefault(parameter.name, parameter)
        return tuple(found.values())

    def formula(self, show: Show = str) -> str:
        """The law as one line of text, such as `L0 + A*(S1pt + S1cpt)^-alpha`; `show`: what stands for a parameter."""
        line = ""
        for term in self.terms:
            coefficient, column = show(term.coefficient.name), term.text(show)
            negative = (term.sign < 0) != coefficient.startswith("-")
            sign = (" - " if negative else " + ") if line else ("-" if negative else "")
            line += sign + coefficient.lstrip("-") + (f"*{column}" if column else "")
        return line

    @property
    def free(self) -> tuple[Term, ...]:
        """The terms whose coefficient is a parameter."""
        return tuple(term for term in self.terms if term.coefficient.name not in self.held)

    @property
    def linear(self) -> tuple[str, ...]:
        """Names of the coefficients, in the order of the columns of `basis`."""
        return tuple(term.coefficient.name for term in self.free)

    @property
    def nonlinear(self) -> tuple[str, ...]:
        """Names of the shape parameters."""
        return tuple(p.name for p in self.parameters if not p.linear)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the features that the law reads."""
        return tuple(dict.fromkeys(name for term in self.terms for name in term.inputs))

    def arrays(self, features: Features) -> dict[str, Array]:
        """The features that the law reads, as arrays of one length; `UserError` where one is missing."""
        result: dict[str, Array] = {}
        for name in self.inputs:
            kind: Any = object if name == HISTORY else np.float64
            try:
                result[name] = np.atleast_1d(np.asarray(features[name], dtype=kind))
            except KeyError:
                raise UserError(f"law {self.name!r} needs the feature {name!r}: add that column") from None
        if len({len(a) for a in result.values()}) > 1:
            raise UserError(f"law {self.name!r}: the features have different lengths")
        return result

    def basis(self, shape: Parameters, features: Features) -> Array:
        """[n, number of coefficients]; the prediction is this times the coefficients, plus `offset`."""
        x, shape = self.arrays(features), {**shape, **self.held}
        return np.column_stack([term.sign * term.value(shape, x) for term in self.free])

    def slopes(self, shape: Parameters, features: Features) -> list[tuple[str, int, Array]]:
        """Non-zero derivatives of `basis`: (shape parameter, column, [n])."""
        x, shape = self.arrays(features), {**shape, **self.held}
        return [
            (name, j, term.sign * slope)
            for j, term in enumerate(self.free)
            for name, slope in term.slopes(shape, x).items()
            if name not in self.held
        ]

    def offset(self, shape: Parameters, features: Features) -> Array | float:
        """The part of the prediction whose coefficients are fixed, [n]; 0.0 if there is none."""
        if len(self.free) == len(self.terms):
            return 0.0
        x, shape = self.arrays(features), {**shape, **self.held}
        return np.asarray(sum(size * term.value(shape, x) for term, size in self._fixed_terms()))

    def offset_slopes(self, shape: Parameters, features: Features) -> list[tuple[str, Array]]:
        """Non-zero derivatives of `offset`: (shape parameter, [n])."""
        x, shape = self.arrays(features), {**shape, **self.held}
        return [
            (name, size * slope)
            for term, size in self._fixed_terms()
            for name, slope in term.slopes(shape, x).items()
            if name not in self.held
        ]

    def _fixed_terms(self) -> list[tuple[Term, float]]:
        """Terms with a fixed coefficient, and that coefficient with the term's sign."""
        names = self.held
        return [(t, t.sign * names[t.coefficient.name]) for t in self.terms if t.coefficient.name in names]

    def predict(self, parameters: Parameters, features: Features) -> Array:
        """The law's value for every row, [n] (nats/token)."""
        coefficients = np.array([parameters[name] for name in self.linear])
        return np.asarray(self.basis(parameters, features) @ coefficients + self.offset(parameters, features))

    def jacobian(self, parameters: Parameters, features: Features) -> Array:
        """Derivatives of `predict`, [n, number of parameters], columns in the order of `parameters`."""
        position = {p.name: i for i, p in enumerate(self.parameters)}
        basis = self.basis(parameters, features)
        result = np.zeros((len(basis), len(position)))
        for j, name in enumerate(self.linear):
            result[:, position[name]] += basis[:, j]
        for name, j, slope in self.slopes(parameters, features):
            result[:, position[name]] += parameters[self.linear[j]] * slope
        for name, slope in self.offset_slopes(parameters, features):
            result[:, position[name]] += slope
        return result

    def combinations(self, parameters: Parameters) -> dict[str, float]:
        """Combinations of parameters that stay determined where single ones do not (see `Term`)."""
        known = {**parameters, **self.held}
        return {k: v for term in self.terms for k, v in term.combinations(known).items()}

    def bounds(self, features: Features) -> dict[str, tuple[float, float]]:
        """Bounds of every parameter in the units of `features`."""
        x = self.arrays(features)
        result = {}
        for p in self.parameters:
            scale = float(np.max(np.abs(x[p.per]), initial=0.0)) if p.per else 1.0
            scale = scale if scale > 0 else 1.0
            result[p.name] = (p.lower / scale, p.upper / scale)
        return result

    def fixed(self, **values: float) -> "Law":
        """The same law with parameters fixed, for example `fixed(alpha=0.5)` or `fixed(B=0.3)`."""
        known = [p.name for p in self.parameters]
        for name, value in values.items():
            if name not in known:
                raise UserError(f"law {self.name!r} has no free parameter {name!r}: it has {', '.join(known)}")
            if not np.isfinite(value):
                raise UserError(f"law {self.name!r}: {name!r} cannot be fixed at {value}")
        if not set(self.linear) - set(values):
            raise UserError(f"law {self.name!r}: leave at least one coefficient free")
        return replace(self, held={**self.held, **values})

    def bounded(self, **bounds: tuple[float, float]) -> "Law":
        """The same law with other bounds, for example `bounded(B=(0, inf))` or `bounded(beta=(-1, 10))`."""
        known = {p.name: p for p in self.parameters}
        for name, (lower, upper) in bounds.items():
            if name not in known:
                raise UserError(f"law {self.name!r} has no parameter {name!r}: it has {', '.join(known)}")
            allowed = {0.0, np.inf, -np.inf} if known[name].linear else set()
            if not lower < upper or (allowed and not {lower, upper} <= allowed):
                raise UserError(f"law {self.name!r}: bounds {lower:g}, {upper:g} of {name!r} cannot be used")

        def change(p: Parameter) -> Parameter:
            lower, upper = bounds.get(p.name, (p.lower, p.upper))
            return replace(p, lower=float(lower), upper=float(upper))

        return replace(
            self,
            terms=tuple(
                replace(t, coefficient=change(t.coefficient), shape=tuple(change(p) for p in t.shape))
                for t in self.terms
            ),
        )
