"""Figure 22: absolute errors of the linear combinations on the out-of-domain sets (arXiv 2505.07796)."""
