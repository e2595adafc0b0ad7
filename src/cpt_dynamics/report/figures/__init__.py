"""What each figure shows, what the paper printed, and the checks: one module a figure."""
