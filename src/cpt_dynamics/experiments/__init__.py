"""Runs as experiments.yaml states them, and the branches that train them."""

from cpt_dynamics.experiments.branches import Branch, Plan, plan
from cpt_dynamics.experiments.runs import Experiments, Phase, Run, load

__all__ = ["Branch", "Experiments", "Phase", "Plan", "Run", "load", "plan"]
