"""Figure 1: CPT moves the loss from one hidden pre-training curve to the other (arXiv 2505.07796)."""
