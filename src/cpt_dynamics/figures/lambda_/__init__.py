"""How much lambda, the memory of the annealing area, matters for the fit of Fig. 3 and its predictions."""
