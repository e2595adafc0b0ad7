"""Figure 17: the shift with other batches and sequence lengths (arXiv 2505.07796)."""
