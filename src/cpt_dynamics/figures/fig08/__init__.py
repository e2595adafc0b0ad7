"""Figure 8: the best loss potential, peak LR and replay ratio against w1 by fitted laws (arXiv 2505.07796, Eq. 5)."""
