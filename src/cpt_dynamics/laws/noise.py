"""The square-root noise law: the loss that is left, plus the noise that the learning rate keeps the weights at.

    L = L0 + A*e + (K + M*e)*sqrt(V)                     pre-training
        + B*(1 - (1 + E*S1cpt)^-beta)                    continual pre-training: the shift of arXiv 2505.07796, Eq. 3

with `e = S1^-alpha` and V the variance of the weights around the valley. At a constant LR V is that LR. After a change
it follows as forward area passes, not as steps do, with many rates at once:

    V = lr_1 - sum over changes k of d_k*(1 - (1 + c*S_k)^-q),   d_k the LR before minus after, S_k the area since

Where the pieces come from. In a quadratic valley of curvature h, SGD gives dV/dS = h*(lr - V); a spectrum of curvatures
that is a Gamma mixture gives the power kernel. Noise grows with the loss that is left: K + M*e (the functional scaling
law, arXiv 2509.19189). The root is not derived; it is what curves ask for. q is held at 1/2.

Without the root and with M = 0 it is the Multi-Power Law with gamma = 0 (arXiv 2503.12811). With one rate (q to
infinity at q*c = k) that relaxes in steps, not in area, it is Eq. 1 and Eq. 4 with one C, lambda = exp(-k). V runs on
through the transfer, so CPT has the same K. `dK` lets it grow with the shift.

Pre-training that is unknown has `lr_1` = 0: the checkpoint is taken as annealed, unless the features are made with its
LR (`curves.features`, `initial_lr`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cpt_dynamics.areas import History
from cpt_dynamics.laws.annealing import INFINITY, annealing, forward, irreducible
from cpt_dynamics.laws.base import HISTORY, Array, Law, Parameter, Parameters, Show, Term
from cpt_dynamics.laws.drops import Drops, rows_of_histories
from cpt_dynamics.laws.shift import PowerShift, shift

SMALLEST = 1e-12  # of V, where an LR of zero would give a root without a slope
REFERENCE = 1e-3  # LR in whose units powers of the LR are taken
RATE = Parameter("c", 1e-1, 1e6, False, "how fast the noise follows the LR, per unit of LR sum")
KERNEL = Parameter("q", 5e-2, 50.0, False, "exponent of the kernel by which it follows; large: one rate")
SOURCE = "this kit's square-root noise law (docs/noise-law.md)"


@dataclass(frozen=True)
class Noise(Drops):
    """`f*sqrt(V)`, where subclasses say what the factor f is; c and q are the first two shape parameters."""

    def factor(self, shape: Parameters, x: Mapping[str, Array]) -> tuple[Array | float, dict[str, Array]]:
        """f, [n], and its derivatives."""
        return 1.0, {}

    def variance(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        """V after every row's step, [n], in units of the LR."""
        histories: list[History] = x[HISTORY].tolist()
        first = np.array([one.start for one in histories])
        return np.maximum(first - super().value(shape, x), SMALLEST)

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        return np.asarray(self.factor(shape, x)[0] * np.sqrt(self.variance(shape, x)))

    def slopes(self, shape: Parameters, x: Mapping[str, Array]) -> dict[str, Array]:
        variance = self.variance(shape, x)
        root = np.sqrt(variance)
        factor, factor_slopes = self.factor(shape, x)
        inner = np.where(variance > SMALLEST, factor / (2 * root), 0.0)
        moved = super().slopes(shape, x)
        result = {p.name: -inner * moved[p.name] for p in self.shape[:2]}
        return {**result, **{name: slope * root for name, slope in factor_slopes.items()}}

    def text(self, show: Show) -> str:
        factor = self.factor_text(show)
        return f"{factor}*" * bool(factor) + f"sqrt(lr_1 - {super().text(show)})"

    def factor_text(self, show: Show) -> str:
        """f in a formula; "" for 1."""
        return ""


@dataclass(frozen=True)
class NoiseOf(Noise):
    """`f*sqrt(V)` with the column of another term as f, whose shape parameters come after c and q."""

    of: Term | None = None

    def factor(self, shape: Parameters, x: Mapping[str, Array]) -> tuple[Array | float, dict[str, Array]]:
        assert self.of is not None
        return self.of.value(shape, x), self.of.slopes(shape, x)

    def factor_text(self, show: Show) -> str:
        assert self.of is not None
        return self.of.text(show)


class ForwardPower(Term):
    """`(sum of (lr/1e-3)^p / 1000)^-alpha` over the steps of a run: a forward area of several peak LRs."""

    def value(self, shape: Parameters, x: Mapping[str, Array]) -> Array:
        return np.asarray(self._area(shape, x)[0] ** -shape[self.shape[0].name])

    def slopes(self, shape: Parameters, x: Mapping[str, Array]) -> dict[str, Array]:
        alpha, power = (p.name for p in self.shape)
        area, slope = self._area(shape, x)
        value = area ** -shape[alpha]
        return {alpha: -np.log(area) * value, power: -shape[alpha] * value * slope / area}

    def text(self, show: Show) -> str:
        alpha, power = self.shape_text(show)
        return f"[sum of (lr/0.001)^{power} / 1000]^-{alpha}"

    def _area(self, shape: Parameters, x: Mapping[str, Array]) -> tuple[Array, Array]:
        """The sum after every row's step, and its derivative with respect to p, each [n]."""
        power, at = shape[self.shape[1].name], x["step"].astype(np.int64) - 1
        area, slope = np.empty(len(at)), np.empty(len(at))
        for one, rows in rows_of_histories(x).items():
            relative = np.maximum(one.forward / REFERENCE, 1e-300)
            grown = relative**power
            area[rows] = np.cumsum(grown)[at[rows]] / 1000
            slope[rows] = np.cumsum(grown * np.log(relative))[at[rows]] / 1000
        return area, slope


def noise() -> Noise:
    """`K*sqrt(V)`."""
    size = Parameter("K", 0.0, INFINITY, True, "size of the noise, nats per root of the LR")
    return Noise(size, (HISTORY, "step"), (RATE, KERNEL))


def noise_of_loss(left: Term) -> NoiseOf:
    """`M*e*sqrt(V)`: noise that falls as the loss that is left does."""
    size = Parameter("M", 0.0, INFINITY, True, "size of the noise that falls with the loss that is left")
    inputs = tuple(dict.fromkeys((HISTORY, "step", *left.inputs)))
    return NoiseOf(size, inputs, (RATE, KERNEL, *left.shape), of=left)


def noise_of_shift() -> NoiseOf:
    """`dK*(1 - (1 + E*S1cpt)^-beta)*sqrt(V)`: noise that grows with the shift."""
    grown = shift()
    assert isinstance(grown, PowerShift)
    size = Parameter("dK", -INFINITY, INFINITY, True, "growth of the size of the noise with the shift")
    return NoiseOf(size, (HISTORY, "step", *grown.inputs), (RATE, KERNEL, *grown.shape), of=grown)


def powered() -> ForwardPower:
    """`A*S_p^-alpha` over a sum of powers of the LR."""
    known = forward()
    power = Parameter("p", 0.3, 1.6, False, "power of the LR in the forward area")
    return ForwardPower(known.coefficient, (HISTORY, "step"), (*known.shape, power))


def _law(name: str, words: str, *terms: Term, baseline: str) -> Law:
    return Law(name, f"{SOURCE}, {words}", terms, baseline=baseline).fixed(q=0.5)


_AREA = ("s1pt", "s1cpt")
LAWS = [
    _law("noise", "one peak LR", irreducible(), forward(*_AREA), noise(), baseline="annealing_s1_only"),
    _law(
        "noise_excess",
        "with noise that falls with the loss",
        *(irreducible(), forward(*_AREA), noise(), noise_of_loss(forward(*_AREA))),
        baseline="annealing_s1_only",
    ),
    Law(
        "noise_kernel",
        f"{SOURCE}, with noise that falls with the loss and a kernel whose exponent is fitted",
        (irreducible(), forward(*_AREA), noise(), noise_of_loss(forward(*_AREA))),
        baseline="annealing_s1_only",
    ),
    _law(
        "noise_peaks",
        "several peak LRs",
        *(irreducible(), powered(), noise(), noise_of_loss(powered())),
        baseline="annealing_s1_only",
    ),
    _law("cpt_noise", "CPT", irreducible(), forward(*_AREA), noise(), shift(), baseline="s1_only"),
    _law(
        "cpt_noise_excess",
        "CPT, with noise that falls with the loss",
        *(irreducible(), forward(*_AREA), noise(), noise_of_loss(forward(*_AREA)), shift()),
        baseline="s1_only",
    ),
    _law(
        "cpt_noise_shift",
        "CPT, with noise that grows with the shift",
        *(irreducible(), forward(*_AREA), noise(), noise_of_shift(), shift()),
        baseline="s1_only",
    ),
    _law(
        "cpt_unknown_noise",
        "CPT of an annealed checkpoint whose pre-training is unknown; its loss that is left is a part of L0",
        *(irreducible(), noise(), shift()),
        baseline="shift_only",
    ),
    _law(
        "cpt_unknown_noise_shift",
        "as cpt_unknown_noise, with noise that grows with the shift",
        *(irreducible(), noise(), noise_of_shift(), shift()),
        baseline="shift_only",
    ),
    Law("shift_only", "baseline: a constant and the shift of arXiv 2505.07796, Eq. 3", (irreducible(), shift())),
    Law(
        "cpt_one_c",
        "arXiv 2505.07796, Eq. 4 with one C for pre-training and CPT",
        (irreducible(), forward(*_AREA), annealing("C", "s2pt", "s2cpt"), shift()),
        baseline="s1_only",
    ),
]
