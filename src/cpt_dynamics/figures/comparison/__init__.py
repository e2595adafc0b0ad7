"""Every law of the kit that can read the runs, fitted to several schedules and tested on others."""
