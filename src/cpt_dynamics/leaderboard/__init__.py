"""The benchmark of laws: every law on frozen splits of public curves and of the kit's own.

`splits` says what is fitted and what is predicted (data/benchmark/splits.yaml), `sets` brings the curves, `scores` fits
and measures, `board` makes tables and pages of it.
"""
