"""Choosing a learning rate, a replay ratio, a starting checkpoint and a length from fitted laws."""

from cpt_dynamics.planning.mixture import CriticalRatio, critical_mixture_ratio
from cpt_dynamics.planning.ood import OodFit, fit_ood
from cpt_dynamics.planning.optimum import BestCombination, Optimum, Scan, default_values, grid, optimum, scan
from cpt_dynamics.planning.scenario import KNOBS, ROLES, Coefficients, Pair, Predictor, Scenario, features_of
from cpt_dynamics.planning.schedule import BestSchedule, area_gradients, optimise
from cpt_dynamics.planning.turning import Turning, critical_point, turning_length, turning_lengths

__all__ = [
    "KNOBS",
    "ROLES",
    "BestCombination",
    "BestSchedule",
    "Coefficients",
    "CriticalRatio",
    "OodFit",
    "Optimum",
    "Pair",
    "Predictor",
    "Scan",
    "Scenario",
    "Turning",
    "area_gradients",
    "critical_mixture_ratio",
    "critical_point",
    "default_values",
    "features_of",
    "fit_ood",
    "grid",
    "optimise",
    "optimum",
    "scan",
    "turning_length",
    "turning_lengths",
]
