"""The report and the summary: numbers, tables, LaTeX sources and the PDF, all made from results."""

from cpt_dynamics.report.document import sources
from cpt_dynamics.report.material import Material
from cpt_dynamics.report.tables import TABLES, available

__all__ = ["TABLES", "Material", "available", "sources"]
