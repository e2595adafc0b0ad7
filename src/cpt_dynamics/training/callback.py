"""The former place of `logs.callback`, kept for one release."""

import warnings

from cpt_dynamics.logs.callback import CurveTableCallback

__all__ = ["CurveTableCallback"]

warnings.warn("cpt_dynamics.training.callback is now cpt_dynamics.logs.callback", DeprecationWarning, stacklevel=2)
