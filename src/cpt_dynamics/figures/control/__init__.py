"""The same-data control: CPT schedules on D_pt itself follow Eq. 2, so that what CPT adds is the shift of the data."""
