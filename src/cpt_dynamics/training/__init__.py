"""Training of branches: the model, the loop, in-loop validation and checkpoints."""
