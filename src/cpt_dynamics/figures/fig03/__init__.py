"""Figure 3: Eq. 4 fitted jointly to PT and CPT under several LR schedules (arXiv 2505.07796)."""
