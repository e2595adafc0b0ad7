"""Losses at the transfer and at the end of every CPT run."""

from cpt_dynamics.figures.gains.result import Change, Result

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import selection


def analyse(data: FigureData) -> Result:
    """For each CPT run, and each of D_pt and D_cpt, the loss before and after CPT."""
    names = selection.roles(data.config)
    changes = []
    for run in selection.transfers(data.experiments, data.entry.runs):
        rows = selection.of_runs(data.curves, [run.name])
        transfer = run.transfer_step
        for role, validation in names.items():
            losses = rows[rows["validation"] == validation].set_index("step")["loss"]
            changes.append(Change(run=run.name, role=role, before=losses[transfer], after=losses[run.steps]))
    gains = [one.after < one.before for one in changes if one.role is Role.STRONG]
    return Result(figure="gains", title=data.entry.title, validations=names, changes=changes, all_gain=all(gains))
