"""Planned contrasts: what each measures, beside what its rivals give in its place."""
