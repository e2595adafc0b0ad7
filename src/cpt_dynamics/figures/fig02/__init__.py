"""Figure 2: the shift of several transfer points overlaps and is a power form (arXiv 2505.07796)."""
