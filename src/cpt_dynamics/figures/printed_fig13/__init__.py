"""Figure 13 from printed coefficients: the turning length of the weighted goal against w1 (arXiv 2505.07796)."""
