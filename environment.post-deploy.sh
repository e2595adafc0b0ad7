#!/usr/bin/env bash
# `snakemake --sdm conda` runs this in the environment that it made from environment.yml, in the working directory.
set -eu
[ -f pyproject.toml ] || { echo "error: run 'snakemake --sdm conda' in the repository's root" >&2; exit 1; }
python -m pip install --quiet --no-deps --no-build-isolation -e .
