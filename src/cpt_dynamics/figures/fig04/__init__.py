"""Figure 4: CPT as a slide between two loss surfaces of D_pt, by the law fitted for Fig. 3 (arXiv 2505.07796)."""
