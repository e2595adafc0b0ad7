"""The coefficients of every figure with a printed fit: the paper's and those of this scale, one below the other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from cpt_dynamics.config import Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.fig02.result import Result as Fig02
from cpt_dynamics.figures.fig03.result import Result as Fig03
from cpt_dynamics.figures.fig11.result import Result as Fig11
from cpt_dynamics.figures.fig12.result import Result as Fig12
from cpt_dynamics.figures.fig14.result import Result as Fig14
from cpt_dynamics.figures.fig15.result import Result as Fig15
from cpt_dynamics.figures.fig16.result import Result as Fig16
from cpt_dynamics.figures.fig17.result import Result as Fig17
from cpt_dynamics.figures.fig18.result import Result as Fig18
from cpt_dynamics.figures.fig19.result import Result as Fig19
from cpt_dynamics.figures.fig20.result import Result as Fig20
from cpt_dynamics.figures.kit import published
from cpt_dynamics.figures.kit.latex import Cell, fixed, number
from cpt_dynamics.figures.kit.published import Printed
from cpt_dynamics.figures.kit.result import FigureResult
from cpt_dynamics.figures.kit.text import SETS
from cpt_dynamics.report.material import Material
from cpt_dynamics.report.table import Table

R = TypeVar("R", bound=FigureResult)


class Fitted(Protocol):
    """What a row shows of a fit, printed or our own."""

    @property
    def parameters(self) -> Mapping[str, float | None]: ...
    @property
    def r2(self) -> float | None: ...


@dataclass(frozen=True)
class Source:
    """Where the coefficients of one figure's fits are, and which printed ones belong beside them.

    fits: result, role -> the fits on that set, by key ("" where there is one). printed: settings of
    data/published/coefficients.yaml, by the same keys. setting: what the fits are called here; by key, where there are
    several (the key itself if it is not named). roles: of the result -> of the printed fit (general or strong). form:
    of a printed fit of the shift alone.
    """

    kind: type[FigureResult]
    fits: Callable[[Any, Role], Mapping[str, Fitted]]  # of that kind: see `source`
    printed: Mapping[str, Sequence[str]]
    setting: str | Mapping[str, str] = ""
    roles: Mapping[Role, str] = field(default_factory=lambda: {Role.GENERAL: "general", Role.STRONG: "strong"})
    form: str = ""

    def label(self, key: str) -> str:
        named = self.setting if isinstance(self.setting, str) else self.setting.get(key)
        return named or key.replace("_", " ")

    def of(self, material: Material, role: Role) -> Mapping[str, Fitted]:
        """The fits of a scale; none where it does not have the figure."""
        result = material.result(self.kind)
        return self.fits(result, role) if result else {}


def source(
    kind: type[R], fits: Callable[[R, Role], Mapping[str, Fitted]], printed: Mapping[str, Sequence[str]], **more: Any
) -> Source:
    """A `Source` whose fits are checked against the type of the result."""
    return Source(kind, fits, printed, **more)


SHARES = ("33", "50", "67")  # per cent of replay, for which the paper prints a fit
EQ4 = (
    source(Fig03, lambda found, role: {"": found.fits[role].chosen}, {"": ["A"]}),
    source(
        Fig11,
        lambda found, role: {"": found.fits[role]},
        {"": ["B"]},
        roles={Role.GENERAL: "general", Role.WEAK: "strong"},
    ),
    source(
        Fig12,
        lambda found, role: {share: fits[role] for share, fits in found.fits.items()},
        {share: [f"A replay {share} %"] for share in SHARES},
        setting={share: f"replay {share} %" for share in SHARES},
    ),
    source(
        Fig16,
        lambda found, role: {size: fits[role] for size, fits in found.fits.items()},
        {"medium": ["C"], "large": ["D"]},
    ),
)
VARIANTS = (
    ("lr_weighted_01", "A eps 0.1", "Eq. 9, eps = 0.1"),
    ("lr_weighted_02", "A eps 0.2", "Eq. 9, eps = 0.2"),
    ("power", "A power", "Eq. 10"),
)


def _variant(variant: str, printed: str, setting: str) -> Source:
    return source(Fig20, lambda found, role: {"": found.sets[role].variants[variant]}, {"": [printed]}, setting=setting)


OTHERS = (
    source(
        Fig02,
        lambda found, role: {"": found.sets[role].forms.phase_step["power"]},
        {"": ["A"]},
        setting="power form over steps",
        form="power",
    ),
    source(
        Fig02,
        lambda found, role: {"": found.sets[role].forms.phase_step["exponential"]},
        {"": ["A"]},
        setting="exponential form over steps",
        form="exponential",
    ),
    source(
        Fig14,
        lambda found, role: {"": found.sets[role].form},
        {"": ["A C D"]},
        setting="power form, all sizes",
        form="power",
    ),
    source(Fig15, lambda found, role: {"": found.fits[role]}, {"": ["A C D"]}, setting="Eq. 7, all sizes"),
    source(
        Fig17,
        lambda found, role: found.sets[role].runs,
        {
            "sequence_double": ["sequence 8K, batch 512"],
            "batch_half": ["sequence 4K, batch 256"],
            "batch_double": ["sequence 2K, batch 4096"],
        },
        setting={
            "sequence_double": "sequence doubled",
            "batch_half": "batch halved",
            "batch_double": "batch doubled",
            "cpt_constant": "batch of PT",
        },
        form="power",
    ),
    source(
        Fig18,
        lambda found, role: {"": found.sets[role]},
        {"": ["model I", "model II"]},
        setting="PT unknown",
        roles={Role.PROXY: "general", Role.STRONG: "strong"},
    ),
    source(Fig19, lambda found, role: {"": found.fits[role].printed}, {"": ["A"]}, setting="Eq. 8"),
    source(Fig19, lambda found, role: {"": found.fits[role].exchanged}, {}, setting="Eq. 8, shifts exchanged"),
    *(_variant(*named) for named in VARIANTS),
)

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
    Role.GENERAL: Cell("D_pt", SETS[Role.GENERAL]),
    Role.STRONG: Cell("D_cpt", SETS[Role.STRONG]),
    Role.WEAK: Cell("D_cpt, weak", SETS[Role.STRONG] + ", weak"),
    Role.PROXY: Cell("proxy of D_pt", "proxy"),
}
NOTE = (
    "Areas are sums of learning rates, and losses are those of other models on other text, so equal values are not"
    " expected; what compares is signs and the quality of the fit. $B$, $E$ and"
    r" $\beta$ trade off against each other. A dash: the law has no such coefficient, or it is not printed."
)


def figures(sources: Sequence[Source]) -> tuple[str, ...]:
    """Figures whose fits a table shows."""
    return tuple(dict.fromkeys(source.kind.FIGURE for source in sources))


def eq4(material: Material) -> Table:
    """Eq. 4: Figs 3, 11, 12 and 16."""
    caption = r"Coefficients of Eq.~\ref{eq:law} under each figure that fits it: the paper's and ours."
    return _table(material, EQ4, caption, NOTE, other=False)


def others(material: Material) -> Table:
    """Fits of the shift alone (Figs 2, 14 and 17), and laws with further parameters (Figs 15, 18, 19 and 20)."""
    return _table(
        material,
        OTHERS,
        "Coefficients of the other printed fits: the paper's and ours. Fits of the shift alone have $B$, $E$"
        r" and $\beta$ only.",
        NOTE + " The paper prints the shifts of Figs 2, 14 and 17 as magnitudes, and $N$ is in millions.",
        other=True,
    )


def _table(material: Material, sources: Sequence[Source], caption: str, note: str, other: bool) -> Table:
    rows = [row for source in sources for row in _rows(material, source, other)]
    if not rows:
        there = ", ".join(figures(sources))
        raise UserError(f"none of the figures {there} is among those of this scale: there is no table")
    columns: list[tuple[Cell, str]] = [
        (Cell("figure", "Fig."), "l"),
        (Cell("set"), "l"),
        (Cell("source"), r">{\raggedright\arraybackslash}p{" + ("2.3cm" if other else "2.7cm") + "}"),
        *((Cell(name, symbol), "r") for name, symbol in COLUMNS.items()),
        *([(Cell("other"), r">{\raggedright\arraybackslash}p{1.6cm}")] if other else []),
        (Cell("R2", "$R^2$"), "r"),
    ]
    return Table(caption, columns, rows, note)


def _rows(material: Material, source: Source, other: bool) -> Iterator[list[Cell]]:
    """By validation set: the printed rows, each setting's own one after them."""
    figure = source.kind.FIGURE
    number_of = Cell(str(int(figure.removeprefix("fig"))))
    for role, theirs in source.roles.items():
        found = source.of(material, role)
        for key in [*(k for k in source.printed if k in found), *(k for k in found if k not in source.printed)]:
            for printed in source.printed.get(key, ()):
                fit = _printed(figure, printed, theirs, source.form)
                label = f"paper, {_setting(source, key, printed)}".removesuffix(", ")
                yield [number_of, ROLES[role], Cell(label), *_cells(fit, other)]
            label = f"here, {source.label(key)}".removesuffix(", ")
            yield [number_of, ROLES[role], Cell(label), *_cells(found[key], other)]


def _setting(source: Source, key: str, printed: str) -> str:
    """What tells a printed fit from the others of its figure; "" where it is the only one."""
    if len(source.printed) > 1 or len(source.printed[key]) > 1:
        return PRINTED.get(printed, printed.removeprefix("A "))
    return source.setting if isinstance(source.setting, str) else ""


def _printed(figure: str, setting: str, role: str, form: str) -> Printed:
    """The printed fit; `UserError` where there is none."""
    for fit in published.load():
        if (fit.figure, fit.setting, fit.role, fit.form) == (figure, setting, role, form):
            return fit
    raise UserError(f"the published coefficients have no fit of {figure}, {setting!r}, {role!r}: add it")


def _cells(fit: Fitted, other: bool) -> list[Cell]:
    """The coefficients of one fit, those without a column of their own in one cell, and R2."""
    known = fit.parameters
    rest = {name: value for name, value in known.items() if name not in COLUMNS and name not in STATED}
    cells = [_value(known.get(name), 4 if name == "L0" else 3) for name in COLUMNS]
    if not other and rest:
        raise UserError(f"there is no column for the coefficient {next(iter(rest))!r}: list the fit in OTHERS")
    if other:
        several = [(name, number(value, 3)) for name, value in rest.items()]
        text = ", ".join(f"{name} {value.text}" for name, value in several)
        tex = ", ".join(f"${OTHER.get(name, name)}$~{value.latex}" for name, value in several)
        cells.append(Cell(text, tex) if rest else Cell("", "--"))
    return [*cells, fixed(fit.r2, 4)]


def _value(value: float | None, digits: int) -> Cell:
    """A coefficient; whole thousands are written out, as the paper does."""
    return fixed(value, 0) if value is not None and 1e3 <= abs(value) < 1e5 else number(value, digits)
