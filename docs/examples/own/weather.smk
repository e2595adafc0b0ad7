rule weather:
    output:
        documents="data/corpora/weather/documents.parquet",
        source="data/corpora/weather/source.json",
    shell:
        "python weather.py {output.documents} {output.source}"
