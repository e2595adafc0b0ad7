"""Figure 21: losses on out-of-domain sets as linear combinations of the D_pt and the D_cpt loss (arXiv 2505.07796)."""
