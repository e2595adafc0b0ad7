"""Figure 7 from printed coefficients: final losses against the peak LR of CPT, and the critical point."""
