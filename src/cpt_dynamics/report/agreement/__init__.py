"""How far scales agree: what the fits of a scale gave, and those of others that are released beside it."""

from cpt_dynamics.report.agreement.compare import Agreement, agreement, read_agreement
from cpt_dynamics.report.agreement.results import ScaleResults, others

__all__ = ["Agreement", "ScaleResults", "agreement", "others", "read_agreement"]
