"""Equations with their coefficients, as matplotlib's mathtext."""

from collections.abc import Mapping

LOGARITHMIC = 5e-4  # beta below which the shift is printed as its limit, B*beta*ln(1 + E*S1)
S1PT, S1CPT = r"S_1^\mathrm{pt}", r"S_1^\mathrm{cpt}"
S2PT, S2CPT = r"S_2^\mathrm{pt}", r"S_2^\mathrm{cpt}"


def number(value: float) -> str:
    """Three significant digits, whole numbers as they are; large and small values as a power of ten."""
    if value == round(value) and abs(value) < 1e5:
        return str(round(value))
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        mantissa, exponent = f"{value:.1e}".split("e")
        return rf"{mantissa}\!\times\!10^{{{int(exponent)}}}"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:.{digits}f}"


def cpt(p: Mapping[str, float | None]) -> str:
    """Eq. 4 (its shift term as a logarithm where beta is nearly 0)."""
    v = {name: value or 0.0 for name, value in p.items()}
    return (
        rf"$L = {v['L0']:.3f} + {number(v['A'])}\,({S1PT}+{S1CPT})^{{-{number(v['alpha'])}}}"
        rf" - {number(v['C1'])}\,{S2PT} - {number(v['C2'])}\,{S2CPT}"
        rf" {_shift(v)}$"
    )


def cpt_size(p: Mapping[str, float | None]) -> tuple[str, str]:
    """Eq. 7 in two lines, N in millions of parameters."""
    v = {name: value or 0.0 for name, value in p.items()}
    return (
        rf"$L = {v['L0']:.3f} + {number(v['A'])}\,({S1PT}+{S1CPT})^{{-{number(v['alpha'])}}}"
        rf" - {number(v['C1'])}\,{S2PT}\,N^{{{number(v['g1'])}}}"
        rf" - {number(v['C2'])}\,{S2CPT}\,N^{{{number(v['g2'])}}}$",
        rf"$\qquad {_shift(v)} + {number(v['F'])}\,N^{{-{number(v['g3'])}}}$",
    )


def power_shift(p: Mapping[str, float | None], argument: str) -> str:
    """Eq. 3 (as a logarithm where beta is nearly 0)."""
    v = {name: value or 0.0 for name, value in p.items()}
    if 0 < v["beta"] < LOGARITHMIC:
        return rf"${number(v['B'] * v['beta'])}\,\ln(1+{number(v['E'])}\,{argument})$"
    return rf"${number(v['B'])}\,[1-(1+{number(v['E'])}\,{argument})^{{-{number(v['beta'])}}}]$"


def printed_shift(p: Mapping[str, float | None], argument: str) -> str:
    """Eq. 3 with the digits that the paper prints, as LaTeX."""
    v = {name: value or 0.0 for name, value in p.items()}
    return rf"${v['B']:g}\,[1-(1+{v['E']:g}\,{argument})^{{-{v['beta']:g}}}]$"


def exponential_shift(p: Mapping[str, float | None], argument: str) -> str:
    """The exponential form of the shift."""
    v = {name: value or 0.0 for name, value in p.items()}
    return rf"${number(v['B'])}\,(1-e^{{-{number(v['E'])}\,{argument}}})$"


def _shift(v: Mapping[str, float]) -> str:
    """The shift term; as beta goes to 0, where B and beta cannot be told apart, its logarithmic limit."""
    if 0 < v["beta"] < LOGARITHMIC:
        return rf"{_signed(v['B'] * v['beta'])}\,\ln(1+{number(v['E'])}\,{S1CPT})"
    return rf"{_signed(v['B'])}\,[1-(1+{number(v['E'])}\,{S1CPT})^{{-{number(v['beta'])}}}]"


def _signed(value: float) -> str:
    return f"- {number(-value)}" if value < 0 else f"+ {number(value)}"
