"""Text and numbers as LaTeX."""

import unicodedata
from dataclasses import dataclass

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "-": "-",
    "–": "--",
    "—": "---",
    "’": "'",
    "“": "``",
    "”": "''",
    "…": r"\dots{}",
    "×": r"$\times$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "→": r"$\to$",
    "−": "$-$",
    "±": r"$\pm$",
    "λ": r"$\lambda$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
}
# What pdfTeX sets in T1 with inputenc and textcomp: ASCII, and the Latin letters and signs that the fonts have.
SET = frozenset(map(chr, [*range(ord(" "), ord("~") + 1), *range(0xA1, 0x180)])) - set("ĦħĸĿŀŉŦŧſ")


def escape(text: str) -> str:
    """Any text as LaTeX that prints it; a character that the fonts lack is spelled by its code point."""
    return "".join(_character(c) for c in text)


def _character(c: str) -> str:
    if c in SPECIAL:
        return SPECIAL[c]
    if c in SET:
        return c
    if c.isspace():
        return " "
    plain = [one for one in unicodedata.normalize("NFKD", c) if not unicodedata.combining(one)]
    if not plain or not SET.issuperset(plain) or " " in plain:
        return f"[U+{ord(c):04X}]"
    return "".join(SPECIAL.get(one, one) for one in plain)


@dataclass(frozen=True)
class Cell:
    """A value of a table: `text` for the CSV, `tex` for LaTeX (default: the text, escaped)."""

    text: str
    tex: str = ""

    @property
    def latex(self) -> str:
        return self.tex or escape(self.text)


def number(value: float | None, digits: int = 4) -> Cell:
    """`digits` significant digits, trailing zeros kept; a dash where there is no value."""
    if value is None:
        return Cell("", "--")
    text = format(value, f"#.{digits}g").rstrip(".")
    mantissa, _, exponent = text.partition("e")
    if exponent:
        mantissa = mantissa.rstrip(".")
        return Cell(f"{mantissa}e{int(exponent)}", rf"${mantissa}\times 10^{{{int(exponent)}}}$")
    return Cell(text, f"${text}$" if value < 0 else text)


def fixed(value: float | None, decimals: int) -> Cell:
    """A fixed number of decimals; a dash where there is no value."""
    if value is None:
        return Cell("", "--")
    text = f"{value:.{decimals}f}"
    return Cell(text, f"${text}$" if value < 0 else text)


def percent(fraction: float | None, decimals: int = 2) -> Cell:
    """A fraction as a percentage."""
    if fraction is None:
        return Cell("", "--")
    text = f"{100 * fraction:.{decimals}f}"
    return Cell(f"{text} %", rf"{text}\,\%")


def count(value: int) -> Cell:
    """A whole number with its thousands apart."""
    text = f"{value:,}"
    return Cell(str(value), text.replace(",", r"\,"))
