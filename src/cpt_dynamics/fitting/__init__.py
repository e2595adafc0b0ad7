"""Fitting laws to loss curves."""

from cpt_dynamics.fitting.average import Average, average, stack
from cpt_dynamics.fitting.fit import Fit, fit, fit_skill
from cpt_dynamics.fitting.identifiability import Identifiability, identifiability
from cpt_dynamics.fitting.metrics import measure, skill
from cpt_dynamics.fitting.predictions import prediction_warnings
from cpt_dynamics.fitting.profile import Profile, profile
from cpt_dynamics.fitting.uncertainty import (
    Intervals,
    LeftOut,
    SeedIntervals,
    independent,
    intervals,
    leave_one_curve_out,
    report,
    seed_intervals,
)

__all__ = [
    "Average",
    "Fit",
    "Identifiability",
    "Intervals",
    "LeftOut",
    "Profile",
    "SeedIntervals",
    "average",
    "fit",
    "fit_skill",
    "identifiability",
    "independent",
    "intervals",
    "leave_one_curve_out",
    "measure",
    "prediction_warnings",
    "profile",
    "report",
    "seed_intervals",
    "skill",
    "stack",
]
