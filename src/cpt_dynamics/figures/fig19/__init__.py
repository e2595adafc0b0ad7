"""Figure 19: Eq. 8 fitted jointly to CPT at all replay ratios (arXiv 2505.07796)."""
