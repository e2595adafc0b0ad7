"""Fuzzing of all that reads files: `readers` says what is read, `inputs` what is tried, `run` what may come of it."""
