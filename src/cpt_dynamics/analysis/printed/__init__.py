"""The paper's analytic figures, drawn from its printed coefficients alone (arXiv 2505.07796v2); nothing is trained."""
