"""Writes the pair of files that makes a data set; yours would fetch or convert something."""

import json
import sys

import pandas as pd

places = [f"Station {number}" for number in range(1, 401)]
texts = [f"{place}: {12 + len(place) % 9} degrees, wind from the west, rain by the evening. " * 8 for place in places]
pd.DataFrame({"id": places, "text": texts}).to_parquet(sys.argv[1])
with open(sys.argv[2], "w", encoding="utf-8") as source:
    json.dump({"from": "made up by weather.py", "licence": "CC0-1.0"}, source)
