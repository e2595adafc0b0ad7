"""What the figures from printed coefficients share."""
