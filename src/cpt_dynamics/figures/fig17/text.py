"""The words about Figure 17."""

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig17.result import FormOfRun, Result, Setting
from cpt_dynamics.figures.kit import equations, published
from cpt_dynamics.figures.kit.latex import count, fixed, number
from cpt_dynamics.figures.kit.text import SETS, Text


def text(data: FigureData, result: Result) -> Text:
    notes = [
        f"CPT with {_words(setting)}: "
        + "; ".join(_form(found.runs[run], role) for role, found in result.sets.items())
        + "."
        for run, setting in result.settings.items()
    ]
    notes.append(
        r"The abscissa counts steps (times the learning rate), so the settings differ in the tokens seen at one place."
        r" Under a constant learning rate $C_1$ and $C_2$ of Eq.~\ref{eq:law} are not determined: the shift alone is"
        " fitted."
    )
    printed = "; ".join(
        f"{item.setting}, {SETS[Role(item.role)]}: {equations.printed_shift(item.parameters, 's')}"
        for item in published.load()
        if item.figure == "fig17"
    )
    return Text(
        "The distribution shift of CPT at constant learning rate with half and twice the batch and with sequences twice"
        " as long, each against a pre-training that goes on with the same batch, and a power form for each. To see:"
        " whether one form describes every setting, and how its size changes with the batch.",
        f"fits for three settings (tokens a sequence, sequences a batch), as magnitudes: {printed}. No $R^2$.",
        notes,
    )


def _words(setting: Setting) -> str:
    text = f"{setting.sequences} sequences of {setting.length} tokens"
    text += "" if setting.changed else " (as in pre-training)"
    return f"{text}, {count(setting.cpt_tokens).latex} tokens in all"


def _form(found: FormOfRun, role: Role) -> str:
    values = ", ".join(
        f"${name}={number(found.parameters[key], 3).latex.strip('$')}$"
        for key, name in (("B", "B"), ("E", "E"), ("beta", r"\beta"))
    )
    end, r2 = number(found.end.shift, 3).latex, fixed(found.r2, 3).latex
    return f"{SETS[role]} {values}, at its end {end} nats, $R^2$ {r2}"
