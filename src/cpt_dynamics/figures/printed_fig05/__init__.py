"""Figures 5c and 5f from printed coefficients: the final D_cpt loss against the loss potential (arXiv 2505.07796)."""
