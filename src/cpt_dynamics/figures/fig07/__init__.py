"""Figure 7: the peak LR of CPT, the critical point and the turning length (arXiv 2505.07796)."""
