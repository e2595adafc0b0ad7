"""Figure 13: the turning length of the weighted goal against w1, by fitted laws (arXiv 2505.07796)."""
