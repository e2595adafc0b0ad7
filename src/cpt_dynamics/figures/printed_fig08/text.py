"""The words about Figure 8 from printed coefficients."""

from cpt_dynamics.figures.kit.printed.text import text

__all__ = ["text"]
