"""What `cpt-dynamics bench` measures. It belongs to the checkout and is not installed with the package."""
