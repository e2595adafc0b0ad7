"""Figure 4: CPT as a slide between two loss surfaces of D_pt, by the law fitted for Fig. 3 (arXiv 2505.07796)."""

from dataclasses import replace

from cpt_dynamics.config import Config, Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig04.result import Result
from cpt_dynamics.figures.kit import selection, strengths
from cpt_dynamics.figures.kit.slide import statements, views
from cpt_dynamics.planning import Scenario
from cpt_dynamics.schedules import Schedule

POTENTIAL = 0.5  # of the checkpoint whose run is drawn on the surfaces
POTENTIALS = (0.1, 0.5, 1.0)  # of the annealing view
TRANSFERS = (1 / 8, 1 / 4, 1 / 2)  # of the forward view, shares of its steps, as from the printed coefficients
FORWARD = 2  # times the steps of pre-training: length of the forward view


def analyse(data: FigureData) -> Result:
    """Both surfaces, one run across them, and the two views; no curve is read.

    The schedules are those of the figure from printed coefficients in the scale's lengths: CPT goes on at the LR of
    the checkpoint and decays linearly to zero, so that the annealing left to it is told by the loss potential.
    """
    config = data.config
    general = strengths.fits_of_fig03(data)[Role.GENERAL]
    slide, constant = _slide(config), _at_peak(config)
    transfers = [round(share * constant.pretraining_steps) for share in TRANSFERS]
    longest = config.optimizer.peak_lr * (constant.pretraining_steps - min(transfers))
    limit, near = general.parameters["B"], strengths.determined(general, longest)
    lifted = limit if near else strengths.shift(general, strengths.LONGER * longest)
    drawn = views(general, slide, (constant, transfers), (slide, POTENTIALS), lifted)
    run = drawn.surface.run
    gap = run.continual.loss[-1] - run.hidden.loss[-1]
    return Result(
        figure="fig04",
        title=data.entry.title,
        validations=selection.roles(config),
        lambda_=general.settings["lambda"],
        carry_over=general.settings["carry_over"],
        law=strengths.LawSummary.of(general),
        limit=limit,
        shift_at_the_end=gap,
        share_of_limit=gap / limit if limit else None,
        lifted=lifted,
        longer=strengths.LONGER,
        shifted_is_limit=near,
        checks=statements(drawn, limit),
        **dict(drawn),
    )


def _slide(config: Config) -> Scenario:
    """PT with WSD to half its peak, and CPT that decays linearly from there to zero."""
    return replace(
        strengths.scenario(config),
        pretraining=Schedule(shape="wsd", end=POTENTIAL),
        continual=Schedule(shape="linear", peak="last"),
    )


def _at_peak(config: Config) -> Scenario:
    """PT at a constant LR, over all steps of the forward view; CPT leaves it earlier and goes on to that end."""
    steps = FORWARD * config.lengths.pretraining
    return replace(
        strengths.scenario(config),
        pretraining=Schedule(shape="constant"),
        pretraining_steps=steps,
        continual=Schedule(shape="constant", peak="last"),
        continual_steps=steps // 2,
    )
