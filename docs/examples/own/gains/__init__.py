"""What CPT gains and costs: an arrow for every run, from its losses at the transfer to those at its end."""
