"""How continual pre-training of language models behaves, and how to plan it."""

__version__ = "0.1.0"
