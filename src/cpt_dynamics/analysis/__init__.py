"""Findings: what the fitted laws say about measured curves, as plain results that go into JSON."""

from cpt_dynamics.analysis.figures import FIGURES, analyse, module

__all__ = ["FIGURES", "analyse", "module"]
