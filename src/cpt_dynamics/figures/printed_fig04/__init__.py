"""Figure 4 from printed coefficients: CPT as a slide between two loss surfaces of D_pt (arXiv 2505.07796)."""
