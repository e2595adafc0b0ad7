"""What another seed changes: final losses, whole curves, and the coefficients of Eq. 4."""
