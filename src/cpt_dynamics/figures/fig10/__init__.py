"""Figure 10: the coefficients of Fig. 3 predict CPT under unseen LR schedules (arXiv 2505.07796)."""
