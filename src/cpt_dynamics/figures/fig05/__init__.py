"""Figure 5: the loss potential of the checkpoint and the final D_cpt loss (arXiv 2505.07796)."""
