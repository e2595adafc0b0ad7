"""The annealing law of pre-training: a power of the forward area minus the annealing area."""

from collections.abc import Mapping

import numpy as np

from cpt_dynamics.laws.base import Array, Constant, Law, Parameter, Parameters, Show, Term

INFINITY = float("inf")


class Forward(Term):
    """`(sum of the forward areas)^-alpha`."""

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        with np.errstate(divide="ignore"):
            return np.asarray(self.total(x) ** -shape[self.shape[0].name], dtype=np.float64)

    def slopes(self, shape: Parameters, x: Mapping[str, Array]) -> dict[str, Array]:
        with np.errstate(divide="ignore"):
            return {self.shape[0].name: -np.log(self.total(x)) * self.value(shape, x)}

    def text(self, show: Show) -> str:
        return f"{self.total_text()}^-{self.shape_text(show)[0]}"


class Annealing(Term):
    """The sum of the annealing areas, entering with a minus sign."""

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        return self.total(x)

    def text(self, show: Show) -> str:
        return self.total_text()


def irreducible() -> Constant:
    """L0, the loss after endless training."""
    return Constant(Parameter("L0", 0.0, INFINITY, True, "loss after endless training, nats/token"))


def forward(*inputs: str) -> Forward:
    """`A*S1^-alpha`."""
    return Forward(
        Parameter("A", 0.0, INFINITY, True, "size of the part that falls with the forward area"),
        inputs,
        (Parameter("alpha", 1e-2, 10.0, False, "exponent of the forward area"),),
    )


def annealing(name: str, *inputs: str) -> Annealing:
    """`-C*S2`."""
    size = Parameter(name, 0.0, INFINITY, True, "fall of the loss per unit of annealing area")
    return Annealing(size, inputs, sign=-1)


LAWS = [
    Law(
        "annealing",
        "Tissue et al., arXiv 2408.11029; arXiv 2505.07796, Eqs. 1 and 2",
        (irreducible(), forward("s1pt", "s1cpt"), annealing("C", "s2pt", "s2cpt")),
        baseline="annealing_s1_only",
    ),
    Law(
        "annealing_s1_only",
        "baseline: the annealing law without S2",
        (irreducible(), forward("s1pt", "s1cpt")),
    ),
]
