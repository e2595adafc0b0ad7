"""Figure 9: loss on a set that rises and on one that falls during CPT, predicted by Eq. 6 (arXiv 2505.07796)."""
