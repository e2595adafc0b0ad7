"""What the paper's analytic figures share that are computed from its printed coefficients (arXiv 2505.07796v2)."""
