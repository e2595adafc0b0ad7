"""Figure 15: Eq. 7, the law with model size, fitted to all sizes at once (arXiv 2505.07796)."""
