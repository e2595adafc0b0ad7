"""Figure 6: the shift of two domains, and the shift under replay (arXiv 2505.07796)."""
