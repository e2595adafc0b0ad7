"""Figure 17: the shift term with other batches and sequence lengths, each with a power form of its own."""

import pandas as pd
from matplotlib.figure import Figure

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig17.result import Result, Setting
from cpt_dynamics.figures.kit import equations, published, style
from cpt_dynamics.figures.kit.joint_figure import Lines
from cpt_dynamics.figures.kit.shift_panels import FormCurve, ShiftPanel, equation, shift_panels


def draw(data: FigureData, result: Result) -> tuple[Figure, pd.DataFrame]:
    """A panel for each validation set: shifts and their forms, a colour for each setting."""
    labels = {run: _label(setting) for run, setting in result.settings.items()}
    marks = zip(labels, style.TRANSFERS * len(labels), strict=False)
    colours = {run: str(mark["color"]) for run, mark in marks}
    panels = {
        role: ShiftPanel(
            found.shifts,
            [FormCurve(form, {"color": colours[run]}, run) for run, form in found.runs.items()],
            [*(equation(form, colours[run]) for run, form in found.runs.items()), *_printed(role)],
        )
        for role, found in result.sets.items()
    }
    return shift_panels(panels, labels, height=4.4, columns=2)


def _label(setting: Setting) -> str:
    """A batch in words."""
    text = f"{setting.sequences} sequences of {setting.length} tokens"
    return text if setting.changed else f"{text} (as in PT)"


def _printed(role: Role) -> Lines:
    """The forms of the paper, in grey."""
    return [
        ("", f"paper, {_short(item.setting)}: {equations.power_shift(item.parameters, 's')}", style.GREY)
        for item in published.load()
        if (item.figure, item.role) == ("fig17", role)
    ]


def _short(setting: str) -> str:
    """`sequence 8K, batch 512` as `8K x 512`."""
    return setting.removeprefix("sequence ").replace(", batch ", "\u00d7")
