"""Figure 20 and Table 2: the variants of the annealing area, Eqs. 9 and 10 (arXiv 2505.07796)."""
