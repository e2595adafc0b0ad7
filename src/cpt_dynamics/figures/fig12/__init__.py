"""Figure 12: Eq. 4 fitted separately at each replay ratio (arXiv 2505.07796)."""
