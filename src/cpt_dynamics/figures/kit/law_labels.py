"""What figures and tables call the laws; apart from the figures, so that a table needs no drawing library."""

LABELS = {
    "cpt": "Eq. 4",
    "cpt_lr_weighted_01": r"Eq. 9, $\epsilon = 0.1$",
    "cpt_lr_weighted_02": r"Eq. 9, $\epsilon = 0.2$",
    "cpt_power": "Eq. 10, power of $S_2$",
    "cpt_log": "Eq. 4, log shift",
    "cpt_exponential": "Eq. 4, exponential shift",
    "s1_only": "Eq. 4 without $S_2$",
    "s1_only_log": "Eq. 4 without $S_2$, log shift",
    "s1_only_exponential": "Eq. 4 without $S_2$, exponential shift",
    "cpt_multi_power": "Eq. 4, Multi-Power drops",
    "cpt_fsl": "Eq. 4, FSL drops",
    "annealing": "Eq. 2, no shift",
    "annealing_s1_only": "$S_1$ alone, no shift",
    "multi_power": "Multi-Power Law, no shift",
    "fsl": "FSL, no shift",
    "fsl_rewarm": "FSL with re-warm-up, no shift",
}
