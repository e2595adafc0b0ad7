"""Figure 11: Eq. 4 fitted to CPT on a second domain, of weaker shift (arXiv 2505.07796)."""
