"""Figure 14: the shift of several model sizes, at a constant LR (arXiv 2505.07796)."""
