"""Figure 18: CPT of a model whose pre-training counts as unknown (arXiv 2505.07796, open-source models)."""
