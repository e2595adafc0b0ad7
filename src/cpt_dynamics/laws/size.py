"""The CPT law across model sizes (Eq. 7), and the two terms it needs: powers of a feature and products.

N is the number of parameters without the embeddings. The feature `params` holds the plain count; the laws
divide it by a million, the unit in which the published coefficients reproduce the published losses.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cpt_dynamics.errors import UserError
from cpt_dynamics.laws.annealing import annealing, forward, irreducible
from cpt_dynamics.laws.base import Array, Law, Parameter, Parameters, Show, Term
from cpt_dynamics.laws.shift import shift

INFINITY = float("inf")
MILLION = 1e6


@dataclass(frozen=True)
class Power(Term):
    """`sign(x) * |x/unit|^g`, x the sum of the inputs; with `falling`, `(x/unit)^-g`.

    An exponent that may be negative leaves no value at x = 0: `UserError`.
    """

    unit: float = 1.0
    falling: bool = False

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        base = self._base(x)
        exponent = shape[self.shape[0].name]
        power = np.abs(base) ** (-exponent if self.falling else exponent)
        return np.asarray(np.where(base < 0, -power, power), dtype=np.float64)

    def slopes(self, shape: Parameters, x: Mapping[str, Array]) -> dict[str, Array]:
        value, size = self.value(shape, x), np.abs(self._base(x))
        logarithm = np.log(np.where(size > 0, size, 1.0))  # x^g*log(x) goes to 0 with x
        return {self.shape[0].name: logarithm * (-value if self.falling else value)}

    def text(self, show: Show) -> str:
        base = self.total_text() if self.unit == 1 else f"({self.sum_text()}/{self.unit:g})"
        return f"{base}^{'-' if self.falling else ''}{self.shape_text(show)[0]}"

    def _base(self, x: Mapping[str, Array]) -> Array:
        base = self.total(x) / self.unit
        if (self.falling or self.shape[0].lower < 0) and (base <= 0).any():
            name, row = " + ".join(self.inputs), int(np.argmax(base <= 0))
            raise UserError(f"{name} is not above 0 on row {row}: leave such rows out")
        return np.asarray(base)


class SlowPower(Power):
    """A power next to a constant, with an exponent that may be close to 0."""

    def combinations(self, parameters: Parameters) -> dict[str, float]:
        size, exponent = self.coefficient.name, self.shape[0].name
        return {f"{size}*{exponent}": parameters[size] * parameters[exponent]}  # the slope over log(x) there


@dataclass(frozen=True)
class Product(Term):
    """The product of several columns; see `product`."""

    factors: tuple[Term, ...] = ()

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        return np.asarray(math.prod(factor.value(shape, x) for factor in self.factors))

    def slopes(self, shape: Parameters, x: Mapping[str, Array]) -> dict[str, Array]:
        values = [factor.value(shape, x) for factor in self.factors]
        result: dict[str, Array] = {}
        for i, factor in enumerate(self.factors):
            rest = np.asarray(math.prod(values[:i] + values[i + 1 :]))
            for name, slope in factor.slopes(shape, x).items():
                result[name] = result.get(name, 0.0) + slope * rest
        return result

    def combinations(self, parameters: Parameters) -> dict[str, float]:
        return {k: v for factor in self.factors for k, v in factor.combinations(parameters).items()}

    def text(self, show: Show) -> str:
        return "*".join(factor.text(show) for factor in self.factors)


def product(first: Term, *others: Term) -> Product:
    """`first` with its coefficient and sign, times the columns of the others.

    The others should name the same coefficient. A shape parameter that several name is one parameter.
    """
    factors = (first, *others)
    inputs = dict.fromkeys(name for factor in factors for name in factor.inputs)
    shape: dict[str, Parameter] = {}
    for factor in factors:
        for parameter in factor.shape:
            shape.setdefault(parameter.name, parameter)
    return Product(first.coefficient, tuple(inputs), tuple(shape.values()), first.sign, factors)


def of_size(term: Term, exponent: str) -> Product:
    """The term times N^exponent."""
    growth = Parameter(exponent, -2.0, 2.0, False, "how the fall by annealing grows with N: an exponent")
    return product(term, Power(term.coefficient, ("params",), (growth,), unit=MILLION))


def size_floor() -> Term:
    """`F*N^-g3`, the part of the loss that a larger model takes away."""
    return SlowPower(
        Parameter("F", 0.0, INFINITY, True, "size of the part that falls with N: at 1M parameters, nats/token"),
        ("params",),
        (Parameter("g3", 1e-2, 5.0, False, "exponent of N in the part that falls with N"),),
        unit=MILLION,
        falling=True,
    )


LAWS = [
    Law(
        "cpt_size",
        "arXiv 2505.07796, Eq. 7, N in millions",
        (
            irreducible(),
            forward("s1pt", "s1cpt"),
            of_size(annealing("C1", "s2pt"), "g1"),
            of_size(annealing("C2", "s2cpt"), "g2"),
            shift(),
            size_floor(),
        ),
        baseline="cpt_size_s1_only",
    ),
    Law(
        "cpt_size_s1_only",
        "baseline: arXiv 2505.07796, Eq. 7 without S2, N in millions",
        (irreducible(), forward("s1pt", "s1cpt"), shift(), size_floor()),
    ),
]
