"""Figure 8 from printed coefficients: the best loss potential, peak LR and replay ratio against w1."""
