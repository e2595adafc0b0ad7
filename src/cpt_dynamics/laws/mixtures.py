"""Laws of other work for the loss at the end of CPT, over size, tokens and mixture; none knows the LR schedule.

`effective_tokens` is what repeated tokens are worth, for the laws that read `tokens`.

Features, a row each: `params` (N, parameters without the embeddings), `tokens` (D, tokens of CPT so far), `share`
(share of the CPT corpus that matches the validation set: r_cpt for D_cpt, r_pt for D_pt, 0 to 1), `injected`
(share of PT data put into the CPT corpus), `initial_loss` and `early_decline` (of a domain, for the cross-domain
law). Counts are plain; the laws divide N by a million and D by 1e9, but for CMR by 0.2e9 as published. The letters
are the sources' own, but for their E (here L0, as E is the rate of the shift).
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cpt_dynamics.errors import UserError
from cpt_dynamics.laws.annealing import irreducible
from cpt_dynamics.laws.base import Array, Constant, Features, Law, Parameter, Parameters, Show
from cpt_dynamics.laws.replay import Exponential
from cpt_dynamics.laws.size import MILLION, Power, Product, SlowPower, product
from cpt_dynamics.laws.unknown import PowerOfSum

INFINITY = float("inf")
BILLION = 1e9
REPEATS = 15.4  # R* of arXiv 2305.16264: how often data can be repeated before most of their worth is gone
CMR_TOKENS = 0.2e9  # the unit of T in arXiv 2407.17467


class OffsetShare(PowerOfSum):
    """`(r + eps)^-gamma`."""

    def parts(self, x: Mapping[str, Array]) -> tuple[Array, Array]:
        share = self.total(x)
        return share, np.ones_like(share)


class Learnability(PowerOfSum):
    """`(1/k1 + w*k2)^-mu`: k1 the initial loss on the domain, k2 how fast it falls at first."""

    def parts(self, x: Mapping[str, Array]) -> tuple[Array, Array]:
        return 1 / x["initial_loss"], x["early_decline"]

    def text(self, show: Show) -> str:
        exponent, weight = self.shape_text(show)
        return f"(1/initial_loss + {weight}*early_decline)^-{exponent}"


class Injected(PowerOfSum):
    """`(1 + B*p)^-alpha`: how the share of injected PT data multiplies the size of the model."""

    def parts(self, x: Mapping[str, Array]) -> tuple[Array, Array]:
        share = self.total(x)
        return np.ones_like(share), share

    def combinations(self, parameters: Parameters) -> dict[str, float]:
        # where B*p is large, all that is left of the two
        return {"A*B^-alpha": parameters["A"] * parameters["B"] ** -parameters["alpha"]}

    def text(self, show: Show) -> str:
        exponent, strength = self.shape_text(show)
        return f"(1 + {strength}*{self.sum_text()})^-{exponent}"


class FreeExponential(Exponential):
    """`exp(t*r)` next to a constant, with a rate that may be close to 0."""

    def combinations(self, parameters: Parameters) -> dict[str, float]:
        size, rate = self.coefficient.name, self.shape[0].name
        return {f"{size}*{rate}": parameters[size] * parameters[rate]}


def of_params() -> Power:
    """`A/N^alpha`."""
    return Power(
        Parameter("A", 0.0, INFINITY, True, "size of the part that falls with N: at 1M parameters, nats/token"),
        ("params",),
        (Parameter("alpha", 1e-2, 10.0, False, "exponent of N"),),
        unit=MILLION,
        falling=True,
    )


def of_tokens() -> Power:
    """`B/D^beta`."""
    return Power(
        Parameter("B", 0.0, INFINITY, True, "size of the part that falls with D: at 1e9 tokens, nats/token"),
        ("tokens",),
        (Parameter("beta", 1e-2, 10.0, False, "exponent of D"),),
        unit=BILLION,
        falling=True,
    )


def of_matching_tokens() -> Product:
    """`B*r^eta/D^beta`."""
    term = of_tokens()
    exponent = Parameter("eta", 1e-2, 10.0, False, "exponent of the share in the part that falls with D")
    return product(Power(term.coefficient, ("share",), (exponent,)), term)


def of_transferred_tokens() -> Product:
    """`B/(D^beta*N^gamma)`: a larger model brings more from its pre-training."""
    term = of_tokens()
    exponent = Parameter("gamma", 1e-3, 10.0, False, "exponent of N in the part that falls with D")
    return product(term, SlowPower(term.coefficient, ("params",), (exponent,), unit=MILLION, falling=True))


def of_share() -> OffsetShare:
    """`C/(r + eps)^gamma`."""
    return OffsetShare(
        Parameter("C", 0.0, INFINITY, True, "size of the part that falls with the share of matching text"),
        ("share",),
        (
            Parameter("gamma", 1e-2, 10.0, False, "exponent of the share of matching text"),
            Parameter("eps", 1e-3, 10.0, False, "added to the share, so that the law holds at a share of 0"),
        ),
    )


def of_learnability() -> Learnability:
    """`F/K^mu` with K = 1/k1 + w*k2.

    The source has K = w1/k1 + w2*k2 and fits both weights; as F absorbs one of them, only w = w2/w1 is a
    parameter here and F stands for its F*w1^-mu.
    """
    return Learnability(
        Parameter("F", 0.0, INFINITY, True, "size of the part that differs between domains"),
        ("initial_loss", "early_decline"),
        (
            Parameter("mu", 1e-2, 10.0, False, "exponent of the learnability of a domain"),
            Parameter("w", 1e-3, 1e3, False, "weight of the early decline beside 1/initial loss", per="early_decline"),
        ),
    )


def forgetting() -> Product:
    """`A*D^beta/((1 + B*p)*N)^alpha`."""
    size = Parameter("A", 0.0, INFINITY, True, "size of the forgetting: at 1e9 tokens, 1M parameters, nats/token")
    exponent = Parameter("alpha", 1e-2, 10.0, False, "exponent of the size")
    strength = Parameter("B", 1e-2, 1e6, False, "how much injected PT data enlarge the model", per="injected")
    return product(
        Power(size, ("tokens",), (Parameter("beta", 1e-2, 10.0, False, "exponent of D"),), unit=BILLION),
        Power(size, ("params",), (exponent,), unit=MILLION, falling=True),
        Injected(size, ("injected",), (exponent, strength)),
    )


def free_power(name: str, exponent: str, over: str, unit: float = 1.0) -> SlowPower:
    """`a*x^s`, either sign for both."""
    size = Parameter(name, -INFINITY, INFINITY, True, f"coefficient of the power of {over}")
    return SlowPower(size, (over,), (Parameter(exponent, -3.0, 3.0, False, f"exponent of {over}"),), unit=unit)


def free_constant(name: str) -> Constant:
    """`b`, either sign."""
    return Constant(Parameter(name, -INFINITY, INFINITY, True, "the constant beside the other terms"))


def mixing() -> FreeExponential:
    """`k*exp(t*r)`, either sign for both."""
    size = Parameter("k", -INFINITY, INFINITY, True, "coefficient of the exponential")
    return FreeExponential(size, ("share",), (Parameter("t", -20.0, 20.0, False, "rate over the share"),))


def effective_tokens(tokens: ArrayLike, unique: ArrayLike, worth: float = REPEATS) -> Array:
    """What training tokens are worth in fresh ones when `unique` of them are repeated (arXiv 2305.16264), [n].

    `U + worth*U*(1 - exp(-R/worth))`, U the unique tokens seen and R = tokens/U - 1 how often they are repeated; where
    fewer than `unique` are seen, each is fresh. A law that reads `tokens` takes these in their place:
    `features.assign(tokens=effective_tokens(features["tokens"], 2e9))`. `UserError` for counts that are not above 0.

    worth: the most that repeats can add, in units of U; published for pre-training on web text, not for CPT.
    """
    seen, known = np.asarray(tokens, dtype=np.float64), np.asarray(unique, dtype=np.float64)
    if not (np.all(seen >= 0) and np.all(known > 0) and worth > 0):
        raise UserError("effective tokens need tokens of at least 0, and unique ones and their worth above 0")
    fresh = np.minimum(seen, known)
    repeats = np.maximum(seen / known - 1, 0.0)
    return np.asarray(fresh - worth * fresh * np.expm1(-repeats / worth))


def violations(law: Law, parameters: Parameters, features: Features) -> NDArray[np.bool_]:
    """Rows at which a D-CPT law says that more matching text does not lower the loss (dL/dr >= 0), [n].

    The form does not rule this out (for eta < 1 it always happens close enough to r = 0), but the law's authors
    require dL/dr < 0: check a fit on a grid of all N, D and r it will be used for. `UserError` for another law.
    """
    known = {**parameters, **law.held}
    if not {"C", "gamma", "eps", "eta"} <= {p.name for p in law.parameters} | law.held.keys():
        raise UserError(f"law {law.name!r} is no D-CPT law: check d_cpt or d_cpt_cross_domain")
    x = law.arrays(features)
    share, tokens = x["share"], x["tokens"] / BILLION
    with np.errstate(divide="ignore"):
        rise = known["eta"] * known["B"] * share ** (known["eta"] - 1) / tokens ** known["beta"]
    fall = known["C"] * known["gamma"] / (share + known["eps"]) ** (known["gamma"] + 1)
    return np.asarray(rise >= fall)


D_CPT = (irreducible(), of_params(), of_matching_tokens(), of_share())

LAWS = [
    Law("d_cpt", "D-CPT law, arXiv 2406.01375; after a fit see `mixtures.violations` for dL/dr < 0", D_CPT),
    Law(
        "d_cpt_cross_domain",
        "cross-domain D-CPT law, arXiv 2406.01375, with w = w2/w1; after a fit see `mixtures.violations`",
        (*D_CPT, of_learnability()),
    ),
    Law(
        "cmr_ratio",
        "CMR scaling law, arXiv 2407.17467: domain loss over the share of domain text, a*R^s + b",
        (free_power("a", "s", "share"), free_constant("b")),
    ),
    Law(
        "cmr_domain",
        "CMR scaling law, arXiv 2407.17467: change of the domain loss over tokens, a1*T^s1 + b1",
        (free_power("a1", "s1", "tokens", CMR_TOKENS), free_constant("b1")),
        residual="linear",
    ),
    Law(
        "cmr_general",
        "CMR scaling law, arXiv 2407.17467: change of the general loss over tokens, a2*T^s2 + a3*T^s3 + b2"
        " (the two powers may trade places)",
        (
            free_power("a2", "s2", "tokens", CMR_TOKENS),
            free_power("a3", "s3", "tokens", CMR_TOKENS),
            free_constant("b2"),
        ),
        residual="linear",
    ),
    Law(
        "cmr_critical",
        "CMR scaling law, arXiv 2407.17467: critical share of domain text over tokens, a4*T^s4 + b3",
        (free_power("a4", "s4", "tokens", CMR_TOKENS), free_constant("b3")),
        residual="linear",
    ),
    Law(
        "mixing",
        "data mixing law, arXiv 2403.16952, for two domains: c + k*exp(t*r)",
        (free_constant("c"), mixing()),
    ),
    Law(
        "injection",
        "forgetting with injected PT data, arXiv 2502.06042; L0 is the loss before CPT, so one PT model",
        (irreducible(), forgetting()),
    ),
    Law(
        "injection_change",
        "forgetting with injected PT data, arXiv 2502.06042: change of the general loss, for any PT models",
        (forgetting(),),
        residual="linear",
    ),
    Law(
        "chinchilla",
        "Hoffmann et al., arXiv 2203.15556: L0 + A/N^alpha + B/D^beta",
        (irreducible(), of_params(), of_tokens()),
    ),
    Law(
        "cross_lingual",
        "CPT into another language, Zheng et al., arXiv 2407.02118: L0 + A/N^alpha + B/(D^beta*N^gamma);"
        " from scratch it is chinchilla",
        (irreducible(), of_params(), of_transferred_tokens()),
    ),
]
