"""The report's section on how far scales agree: its tables, and its sentences as macros."""

from cpt_dynamics.claims import Word
from cpt_dynamics.figures.kit.latex import Cell, count, escape, fixed, number, percent
from cpt_dynamics.figures.kit.text import NOTHING, PLAIN, SETS
from cpt_dynamics.report.agreement.compare import Agreement, Counts
from cpt_dynamics.report.agreement.results import ComparedFit
from cpt_dynamics.report.table import Table, as_latex
from cpt_dynamics.report.verdicts import MARKS, prose

FIGURE = "agreement"
NARROW = r">{\raggedright\arraybackslash}p"
SETTINGS = {
    "parameters": "non-embedding parameters",
    "general": r"\Dpt",
    "strong": r"\Dcpt",
    "vocabulary": "vocabulary",
    "peak_lr": "peak learning rate",
    "batch_tokens": "tokens a step",
    "pretraining": "steps of PT",
    "continual": "steps of CPT",
    "lambda_": r"$\lambda$",
}
COEFFICIENTS = {  # of Eq. 4: symbol, unit
    "L0": ("$L_0$", "nats"),
    "A": ("$A$", r"nats $\cdot\,S^{\alpha}$"),
    "alpha": (r"$\alpha$", "none"),
    "C1": ("$C_1$", "nats / $S$"),
    "C2": ("$C_2$", "nats / $S$"),
    "B": ("$B$", "nats"),
    "E": ("$E$", "1 / $S$"),
    "beta": (r"$\beta$", "none"),
    "B*beta": (r"$B\beta$", "nats"),
    "B*beta*E": (r"$B\beta E$", "nats / $S$"),
}
TERMS = {"A": "$A$", "C1": "$C_1$", "C2": "$C_2$", "B": "$B$"}
LAWS = {
    "eq4": Cell("Eq. 4", "Eq.~4"),
    "eq7": Cell("Eq. 7", "Eq.~7"),
    "eq8": Cell("Eq. 8", "Eq.~8"),
    "eq9_eps_0.1": Cell("Eq. 9, eps = 0.1", r"Eq.~9, $\varepsilon = 0.1$"),
    "eq9_eps_0.2": Cell("Eq. 9, eps = 0.2", r"Eq.~9, $\varepsilon = 0.2$"),
    "eq10": Cell("Eq. 10", "Eq.~10"),
}


def section(found: Agreement) -> str:
    """All tables of the section; found: agreement.json."""
    tables = {"scales": scales, "coefficients": coefficients, "errors": errors, "same": verdicts}
    return "\n".join(as_latex(make(found), f"agreement_{name}") for name, make in tables.items())


def scales(found: Agreement) -> Table:
    """What is different between the scales."""
    known = [dict(one.setting) for one in found.scales.values()]
    rows = [
        [Cell(key.removesuffix("_"), label), *(_setting(one[key]) for one in known)]
        for key, label in SETTINGS.items()
        if any(one[key] is not None for one in known)
    ]
    return Table(
        "The scales that are compared. Parameters are those of the model of Figure~3.",
        [(Cell("setting"), "l"), *((name, "r") for name in _names(found))],
        rows,
    )


def _setting(value: str | float | None) -> Cell:
    if value is None:
        return NOTHING
    if isinstance(value, int):
        return count(value)
    return Cell(str(value)) if isinstance(value, str) else Cell(f"{value:g}")


def coefficients(found: Agreement) -> Table:
    """Eq. 4 at every scale: its coefficients with their intervals over seeds, and its terms."""
    rows = []
    for role, fits in found.fits.get("eq4", {}).items():
        for name, (symbol, unit) in COEFFICIENTS.items():
            cells = [_coefficient(fits.get(scale), name) for scale in found.scales]
            rows.append([Cell(PLAIN[role], SETS[role]), Cell(name, symbol), Cell(unit, unit), *cells])
        for name, symbol in TERMS.items():
            cells = [_term(fits.get(scale), name) for scale in found.scales]
            rows.append([Cell(PLAIN[role], SETS[role]), Cell(name, f"term of {symbol}"), Cell("nats"), *cells])
    return Table(
        r"Equation~\ref{eq:law} at every scale, fitted to the runs of Figure~3: coefficients, in brackets their"
        r" 90\,\% intervals over seeds, and the largest part that each term has in a fitted loss.",
        [(Cell("set"), "l"), (Cell("coefficient"), "l"), (Cell("unit"), "l"), *((name, "r") for name in _names(found))],
        rows,
        "$S$ is the unit of the areas, learning rate times steps; losses are in nats a token. An interval is that of"
        " the mean over seeds (Student's $t$), while the value is that of the first seed.",
    )


def _term(fit: ComparedFit | None, name: str) -> Cell:
    return number(fit.terms.get(name), 3) if fit else NOTHING


def _coefficient(fit: ComparedFit | None, name: str) -> Cell:
    if fit is None:
        return NOTHING
    value = number(fit.value(name), 3)
    ends = fit.intervals.get(name)
    if ends is None:
        return value
    low, high = (number(end, 3) for end in (ends.low, ends.high))
    return Cell(f"{value.text} ({low.text} to {high.text})", f"{value.latex} ({low.latex} to {high.latex})")


def errors(found: Agreement) -> Table:
    """Quality of the fits, and errors on what was not fitted."""
    rows = []
    for law, roles in found.fits.items():
        for role, fits in roles.items():
            for scale, fit in fits.items():
                left_out = fit.heldout
                rows.append(
                    [
                        LAWS[law],
                        Cell(PLAIN[role], SETS[role]),
                        _name(scale),
                        fixed(fit.r2, 4),
                        fixed(fit.r2_cpt, 4),
                        percent(fit.mean_relative_error_cpt),
                        Cell(left_out.left_out) if left_out else NOTHING,
                        percent(left_out.mean_relative_error if left_out else None),
                        fixed(left_out.ratio if left_out else None, 2),
                    ]
                )
    return Table(
        "Quality of the fits at every scale, and mean relative errors on CPT losses of what was left out of them.",
        [
            (Cell("law"), "l"),
            (Cell("set"), "l"),
            (Cell("scale"), "l"),
            (Cell("R2", "$R^2$"), "r"),
            (Cell("R2 on CPT", "$R^2$, CPT"), "r"),
            (Cell("error on CPT"), "r"),
            (Cell("left out"), "l"),
            (Cell("held-out error"), "r"),
            (Cell("ratio"), "r"),
        ],
        rows,
        "Ratio: the held-out error over that of the law without annealing areas. Model sizes and replay ratios are left"
        " out one by one, and their errors averaged.",
    )


def verdicts(found: Agreement) -> Table:
    """Every claim with its verdict at every scale."""
    rows = []
    for one in found.verdicts.values():
        marks = [_mark(one.verdicts.get(scale)) for scale in found.scales]
        text = Cell(one.claim, prose(one.claim) + ("" if one.finding else r" \emph{(left open by the paper)}"))
        rows.append([text, *marks, _same(list(one.same.values()))])
    return Table(
        "Verdicts at every scale ("
        + ", ".join(rf"{mark}{{}}~{word}" for word, mark in MARKS.items())
        + "), and whether those of the others are that of this scale.",
        [
            (Cell("claim"), NARROW + "{9.5cm}"),
            *((name, "c") for name in _names(found)),
            (Cell("same"), "l"),
        ],
        rows,
        "A dash: the scale has no such claim, or the claim is not compared, since one of the scales cannot test it or"
        " tests it by other criteria.",
    )


def _mark(verdict: Word | None) -> Cell:
    return NOTHING if verdict is None else Cell(verdict, MARKS[verdict])


def _same(same: list[bool | None]) -> Cell:
    known = [one for one in same if one is not None]
    if not known:
        return NOTHING
    return Cell("yes") if all(known) else Cell("no", r"\textbf{no}")


def _names(found: Agreement) -> list[Cell]:
    return [_name(scale) for scale in found.scales]


def _name(scale: str) -> Cell:
    return Cell(scale, rf"\texttt{{{escape(scale)}}}")


# --- the text ----------------------------------------------------------------------------------------------------


def macros(found: Agreement | None) -> dict[str, str]:
    """The sentences of the section; none where there is no other scale."""
    if found is None:
        return {}
    others = list(found.counts)
    return {
        "AgreementOthers": _listed([_name(other).latex for other in others]),
        "AgreementExponents": " ".join(_exponents(other, found.counts[other]) for other in others),
        "AgreementErrors": " ".join(_errors(scale, found) for scale in found.scales),
        "AgreementVerdicts": " ".join(_verdicts(other, found.counts[other]) for other in others),
    }


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _exponents(other: str, counts: Counts) -> str:
    scale = _name(other).latex
    if not counts.exponents:
        return f"No exponent has an interval both here and at {scale}, so none is compared with it."
    return (
        f"Of the {counts.exponents} exponents that have an interval both here and at {scale},"
        f" {counts.overlapping} overlap."
    )


def _errors(scale: str, found: Agreement) -> str:
    """Errors of Eq. 4 under unseen schedules."""
    fits = {role: by_scale.get(scale) for role, by_scale in found.fits.get("eq4", {}).items()}
    known = {role: fit.heldout for role, fit in fits.items() if fit and fit.heldout}
    where = f"at scale {_name(scale).latex}"
    if not known:
        return f"No schedule was held out {where}."
    size = " and ".join(f"{percent(one.mean_relative_error).latex} on {SETS[role]}" for role, one in known.items())
    ratios = " and ".join(fixed(one.ratio, 2).latex for one in known.values())
    return (
        f"Under schedules that were not fitted, the mean relative error {where} is {size}, {ratios} times that of the"
        " law without annealing."
    )


def _verdicts(other: str, counts: Counts) -> str:
    return (
        f"Of {counts.compared} claims whose verdicts can be compared with those at scale {_name(other).latex},"
        f" {counts.same} have the same one and {counts.differ} another (not compared: {counts.not_compared})."
    )
