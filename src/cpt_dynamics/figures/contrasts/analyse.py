"""Every planned contrast, as far as the curves that are there allow."""

from collections.abc import Callable

from cpt_dynamics.figures.contrasts.effects import EFFECTS
from cpt_dynamics.figures.contrasts.known import Known, Missing, Undefined
from cpt_dynamics.figures.contrasts.noise import seed_noise
from cpt_dynamics.figures.contrasts.result import Contrast, Result
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SETS


def analyse(data: FigureData) -> Result:
    """The effects; a contrast some of whose runs are not there names them."""
    known = Known(data)
    contrasts = {name: measured(effect, known) for name, effect in EFFECTS.items()}
    return Result(
        figure="contrasts",
        title=data.entry.title,
        validations=selection.roles(data.config),
        noise={role: seed_noise(known, role) for role in SETS},
        contrasts=contrasts,
        fits=known.fits,
    )


def measured(effect: Callable[[Known], Contrast], known: Known) -> Contrast:
    """A contrast, or what it lacks."""
    try:
        return effect(known)
    except Missing as lacking:
        return Contrast(missing=lacking.runs)
    except Undefined as undefined:
        return Contrast(reason=str(undefined))
