"""The goal of Eq. 5 against each knob: a trained grid, the laws' prediction, and the trained recommendation."""
