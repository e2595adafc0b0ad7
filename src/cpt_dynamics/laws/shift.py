"""The distribution-shift term: how the loss leaves the hidden pre-training curve after a transfer."""

from collections.abc import Mapping

import numpy as np

from cpt_dynamics.laws.base import Array, Law, Parameter, Parameters, Show, Term

INFINITY = float("inf")
FORMS = ("power", "exponential", "log")


class PowerShift(Term):
    """`1 - (1 + E*S)^-beta`."""

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        grown = np.log1p(shape["E"] * self.total(x))
        return np.asarray(-np.expm1(-shape["beta"] * grown), dtype=np.float64)

    def slopes(self, shape: Parameters, x: Mapping[str, Array]) -> dict[str, Array]:
        area = self.total(x)
        grown = np.log1p(shape["E"] * area)
        power = np.exp(-shape["beta"] * grown)
        return {"E": shape["beta"] * area * power / (1 + shape["E"] * area), "beta": grown * power}

    def combinations(self, parameters: Parameters) -> dict[str, float]:
        product = parameters["B"] * parameters["beta"]  # all that is left of the two as beta goes to 0
        return {"B*beta": product, "B*beta*E": product * parameters["E"]}

    def text(self, show: Show) -> str:
        rate, exponent = self.shape_text(show)
        return f"(1 - (1 + {rate}*{self.total_text()})^-{exponent})"


class ExponentialShift(Term):
    """`1 - exp(-E*S)`."""

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        return np.asarray(-np.expm1(-shape[self.shape[0].name] * self.total(x)), dtype=np.float64)

    def slopes(self, shape: Parameters, x: Mapping[str, Array]) -> dict[str, Array]:
        area, rate = self.total(x), self.shape[0].name
        return {rate: area * np.exp(-shape[rate] * area)}

    def combinations(self, parameters: Parameters) -> dict[str, float]:
        size, rate = self.coefficient.name, self.shape[0].name
        return {f"{size}*{rate}": parameters[size] * parameters[rate]}

    def text(self, show: Show) -> str:
        return f"(1 - exp(-{self.shape_text(show)[0]}*{self.total_text()}))"


class LogShift(Term):
    """`log(1 + E*S)`, the limit of the power form for small beta; B stands for B*beta."""

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        return np.asarray(np.log1p(shape["E"] * self.total(x)), dtype=np.float64)

    def slopes(self, shape: Parameters, x: Mapping[str, Array]) -> dict[str, Array]:
        area = self.total(x)
        return {"E": area / (1 + shape["E"] * area)}

    def combinations(self, parameters: Parameters) -> dict[str, float]:
        return {"B*E": parameters["B"] * parameters["E"]}

    def text(self, show: Show) -> str:
        return f"ln(1 + {self.shape_text(show)[0]}*{self.total_text()})"


def shift(form: str = "power", over: str = "s1cpt") -> Term:
    """The shift term in one of `FORMS` over the forward area of CPT or another feature."""
    size = Parameter("B", -INFINITY, INFINITY, True, "size of the shift: above 0 on D_pt, below 0 on D_cpt")
    rate = Parameter("E", 1e-2, 1e8, False, "how fast the shift starts, per unit of its argument", per=over)
    exponent = Parameter("beta", 1e-4, 50.0, False, "exponent of the shift")
    if form == "power":
        return PowerShift(size, (over,), (rate, exponent))
    if form == "exponential":
        return ExponentialShift(size, (over,), (rate,))
    return LogShift(size, (over,), (rate,))


NOTES = {"power": "", "exponential": ", exponential form", "log": ", limit of small beta"}
ARGUMENTS = {"": "s1cpt", "_t": "phase_step"}  # over steps for a constant LR

LAWS = [
    Law(
        f"shift_{form}{suffix}",
        f"arXiv 2505.07796, Eq. 3{NOTES[form]}",
        (shift(form, over),),
        residual="linear",
    )
    for form in FORMS
    for suffix, over in ARGUMENTS.items()
]
