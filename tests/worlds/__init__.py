"""What tests share: small worlds of text, runs and curves, and what is asked of them."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
