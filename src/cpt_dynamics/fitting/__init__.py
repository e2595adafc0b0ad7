"""Fitting laws to loss curves."""

from cpt_dynamics.fitting.fit import Fit, Identifiability, fit, fit_skill, identifiability
from cpt_dynamics.fitting.metrics import measure, skill

__all__ = ["Fit", "Identifiability", "fit", "fit_skill", "identifiability", "measure", "skill"]
