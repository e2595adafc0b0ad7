"""The coefficients of every figure with a printed fit: the paper's and those of this scale, one below the other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.kit.latex import Cell, fixed, number
from cpt_dynamics.reporting.checks import SETS
from cpt_dynamics.reporting.material import Material
from cpt_dynamics.reporting.table import Table

ANY = "*"  # in a path: every key there


@dataclass(frozen=True)
class Source:
    """Where the coefficients of one figure's fits stand, and which printed ones belong beside them.

    path: keys of the figure's result that lead to a mapping with `parameters` and `r2`; `{role}` stands for the
    validation set, `*` for every key (those of `printed` must be there). setting: what they are called here; where
    the path has a `*`, by its key (the key itself if it is not named). roles: of the path -> of the printed fit
    (general or strong). printed: settings of data/published/coefficients.yaml, by the key of `*`, or under "" where
    there is none. form: of a printed fit of the shift alone.
    """

    path: tuple[str, ...]
    printed: Mapping[str, Sequence[str]]
    setting: str | Mapping[str, str] = ""
    roles: Mapping[str, str] = field(default_factory=lambda: {"general": "general", "strong": "strong"})
    form: str = ""

    def label(self, key: str) -> str:
        named = self.setting if isinstance(self.setting, str) else self.setting.get(key)
        return named or key.replace("_", " ")


# Figure -> its fits. To adjust where an analysis keeps its fits elsewhere or runs get other names.
EQ4: dict[str, list[Source]] = {
    "fig03": [Source(("fits", "{role}", "chosen"), {"": ["A"]})],
    "fig11": [Source(("fits", "{role}"), {"": ["B"]}, roles={"general": "general", "weak": "strong"})],
    "fig12": [
        Source(
            ("fits", ANY, "{role}"),
            {share: [f"A replay {share} %"] for share in ("33", "50", "67")},
            {share: f"replay {share} %" for share in ("33", "50", "67")},
        )
    ],
    "fig16": [Source(("fits", ANY, "{role}"), {"medium": ["C"], "large": ["D"]})],
}
OTHERS: dict[str, list[Source]] = {
    "fig02": [
        Source(("sets", "{role}", "forms", "phase_step", form), {"": ["A"]}, f"{form} form over steps", form=form)
        for form in ("power", "exponential")
    ],
    "fig14": [Source(("sets", "{role}", "form"), {"": ["A C D"]}, "power form, all sizes", form="power")],
    "fig15": [Source(("fits", "{role}"), {"": ["A C D"]}, "Eq. 7, all sizes")],
    "fig17": [
        Source(
            ("sets", "{role}", "runs", ANY),
            {
                "sequence_double": ["sequence 8K, batch 512"],
                "batch_half": ["sequence 4K, batch 256"],
                "batch_double": ["sequence 2K, batch 4096"],
            },
            {
                "sequence_double": "sequence doubled",
                "batch_half": "batch halved",
                "batch_double": "batch doubled",
                "cpt_constant": "batch of PT",
            },
            form="power",
        )
    ],
    "fig18": [
        Source(
            ("sets", "{role}"),
            {"": ["model I", "model II"]},
            "PT unknown",
            roles={"proxy": "general", "strong": "strong"},
        )
    ],
    "fig19": [
        Source(("fits", "{role}", "printed"), {"": ["A"]}, "Eq. 8"),
        Source(("fits", "{role}", "exchanged"), {}, "Eq. 8, shifts exchanged"),
    ],
    "fig20": [
        Source(("sets", "{role}", "variants", variant), {"": [f"A {printed}"]}, label)
        for variant, printed, label in (
            ("lr_weighted_01", "eps 0.1", "Eq. 9, eps = 0.1"),
            ("lr_weighted_02", "eps 0.2", "Eq. 9, eps = 0.2"),
            ("power", "power", "Eq. 10"),
        )
    ],
}

COLUMNS = {
    "L0": "$L_0$",
    "A": "$A$",
    "alpha": r"$\alpha$",
    "C1": "$C_1$",
    "C2": "$C_2$",
    "B": "$B$",
    "E": "$E$",
    "beta": r"$\beta$",
}
OTHER = {
    "S1pt": r"S_\mathrm{1pt}",
    "g1": r"\gamma_1",
    "g2": r"\gamma_2",
    "g3": r"\gamma_3",
    "F": "F",
    "a1": "a_1",
    "a2": "a_2",
    "z1": r"\zeta_1",
    "z2": r"\zeta_2",
}
PRINTED = {"C": "594M", "D": "1720M"}  # the paper's settings by their size
STATED = ("eps",)  # parameters that the setting's label says
ROLES = {
    "general": Cell("D_pt", SETS["general"]),
    "strong": Cell("D_cpt", SETS["strong"]),
    "weak": Cell("D_cpt, weak", SETS["strong"] + ", weak"),
    "proxy": Cell("proxy of D_pt", "proxy"),
}
NOTE = (
    "Areas are sums of learning rates, and losses are those of other models on other text, so equal values are not"
    " expected; what compares is signs and the quality of the fit. $B$, $E$ and"
    r" $\beta$ trade off against each other. A dash: the law has no such coefficient, or it is not printed."
)


def eq4(material: Material) -> Table:
    """Eq. 4: Figs 3, 11, 12 and 16."""
    return _table(
        material,
        EQ4,
        list(COLUMNS),
        other=False,
        caption=r"Coefficients of Eq.~\ref{eq:law} under each figure that fits it: the paper's and ours.",
        note=NOTE,
    )


def others(material: Material) -> Table:
    """Fits of the shift alone (Figs 2, 14 and 17), and laws with further parameters (Figs 15, 18, 19 and 20)."""
    return _table(
        material,
        OTHERS,
        list(COLUMNS),
        other=True,
        caption="Coefficients of the other printed fits: the paper's and ours. Fits of the shift alone have $B$, $E$"
        r" and $\beta$ only.",
        note=NOTE + " The paper prints the shifts of Figs 2, 14 and 17 as magnitudes, and $N$ is in millions.",
    )


def _table(
    material: Material,
    sources: Mapping[str, list[Source]],
    parameters: list[str],
    other: bool,
    caption: str,
    note: str,
) -> Table:
    rows = [
        row
        for figure, several in sources.items()
        if figure in material.figures
        for source in several
        for row in _rows(material, figure, source, parameters, other)
    ]
    if not rows:
        raise UserError(f"none of the figures {', '.join(sources)} is among those of this scale: there is no table")
    columns: list[tuple[Cell, str]] = [
        (Cell("figure", "Fig."), "l"),
        (Cell("set"), "l"),
        (Cell("source"), r">{\raggedright\arraybackslash}p{" + ("2.3cm" if other else "2.7cm") + "}"),
        *((Cell(name, COLUMNS[name]), "r") for name in parameters),
        *([(Cell("other"), r">{\raggedright\arraybackslash}p{1.6cm}")] if other else []),
        (Cell("R2", "$R^2$"), "r"),
    ]
    return Table(caption, columns, rows, note)


def _rows(material: Material, figure: str, source: Source, parameters: list[str], other: bool) -> Iterator[list[Cell]]:
    """By validation set: the printed rows, each setting's own one after them."""
    number_of = Cell(str(int(figure.removeprefix("fig"))))
    for role, theirs in source.roles.items():
        found = dict(_found(material, figure, source, role))
        for key in found:
            for printed in source.printed.get(key, ()):
                fit = _printed(material, figure, printed, theirs, source.form)
                label = f"paper, {_setting(source, key, printed)}".removesuffix(", ")
                yield [number_of, ROLES[role], Cell(label), *_cells(fit, parameters, other)]
            label = f"here, {source.label(key)}".removesuffix(", ")
            yield [number_of, ROLES[role], Cell(label), *_cells(found[key], parameters, other)]


def _setting(source: Source, key: str, printed: str) -> str:
    """What tells a printed fit from the others of its figure; "" where it is the only one."""
    if len(source.printed) > 1 or len(source.printed[key]) > 1:
        return PRINTED.get(printed, printed.removeprefix("A "))
    return source.setting if isinstance(source.setting, str) else ""


def _found(material: Material, figure: str, source: Source, role: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(key of `*` or "", the fit) for each fit of a source on one validation set; a missing key is a `UserError`."""
    path = [key.format(role=role) for key in source.path]
    if ANY not in path:
        yield "", _fit(material, figure, path)
        return
    at = path.index(ANY)
    expected = dict.fromkeys([*source.printed, *material.pick(figure, *path[:at])])
    for key in expected:
        yield key, _fit(material, figure, [*path[:at], key, *path[at + 1 :]])


def _fit(material: Material, figure: str, path: list[str]) -> dict[str, Any]:
    return {name: material.pick(figure, *path, name) for name in ("parameters", "r2")}


def _printed(material: Material, figure: str, setting: str, role: str, form: str) -> dict[str, Any]:
    """The printed fit; `UserError` where there is none."""
    for fit in material.published["shifts" if form else "fits"]:
        if (fit["figure"], fit["setting"], fit["role"], fit.get("form", "")) == (figure, setting, role, form):
            return dict(fit)
    raise UserError(f"the published coefficients have no fit of {figure}, {setting!r}, {role!r}: add it")


def _cells(fit: Mapping[str, Any], parameters: list[str], other: bool) -> list[Cell]:
    """The coefficients of one fit, those without a column of their own in one cell, and R2."""
    known = fit["parameters"]
    rest = {name: value for name, value in known.items() if name not in COLUMNS and name not in STATED}
    cells = [_value(known.get(name), 4 if name == "L0" else 3) for name in parameters]
    if not other and rest:
        raise UserError(f"there is no column for the coefficient {next(iter(rest))!r}: list the fit in OTHERS")
    if other:
        several = [(name, number(value, 3)) for name, value in rest.items()]
        text = ", ".join(f"{name} {value.text}" for name, value in several)
        tex = ", ".join(f"${OTHER.get(name, name)}$~{value.latex}" for name, value in several)
        cells.append(Cell(text, tex) if rest else Cell("", "--"))
    return [*cells, fixed(fit.get("r2"), 4)]


def _value(value: float | None, digits: int) -> Cell:
    """A coefficient; whole thousands are written out, as the paper does."""
    return fixed(value, 0) if value is not None and 1e3 <= abs(value) < 1e5 else number(value, digits)
