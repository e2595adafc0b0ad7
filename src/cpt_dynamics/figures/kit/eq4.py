"""Eq. 4 as fitted for Figure 3, with which Figs. 10 and 20 predict runs that were not fitted."""

from cpt_dynamics.config import Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig03.result import Result as Fig03
from cpt_dynamics.figures.kit.joint import joint
from cpt_dynamics.figures.kit.result import JointFit


def check_heldout(data: FigureData) -> None:
    """Raise `UserError` unless the figure has held-out runs."""
    if not data.entry.heldout:
        raise UserError(f"{data.config.stated_in}: {data.figure} has no held-out runs: list them under `heldout`")


def eq4(data: FigureData, role: Role, carry_over: bool) -> JointFit:
    """The fit of Figure 3 where the figure needs it, or else one to the figure's own runs."""
    if Fig03.FIGURE not in data.entry.needs:
        return joint(data.curves, data.schedules, data.config, data.entry.runs, role, carry_over=carry_over).result()
    known = data.result(Fig03)
    if set(known.runs) != set(data.entry.runs):
        raise UserError(
            f"{data.config.stated_in}: {data.figure} must be fitted to the runs of fig03, whose fit it uses"
        )
    fits = known.fits[role]
    return fits.chosen if carry_over == data.config.law.carry_over else fits.other_carry_over
