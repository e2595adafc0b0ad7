"""Stages are killed at random times and given again; in the end all is as if nobody had killed them: `make kills`."""
