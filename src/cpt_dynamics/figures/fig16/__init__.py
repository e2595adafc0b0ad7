"""Figure 16: Eq. 4 fitted to each of the larger model sizes separately (arXiv 2505.07796)."""
