# From sources of text to token files. A corpus with `source: rule` is made by a rule of one's own instead of `documents`.


rule documents:
    input:
        files=local_files,
        code=code("corpora.documents"),
    output:
        documents=Path(CONFIG.data) / "{corpus}/documents.parquet",
        source=Path(CONFIG.data) / "{corpus}/source.json",
    log:
        LAYOUT.root / "logs/documents/{corpus}.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=CONFIGFILE,
        spec=lambda wildcards: canonical(CONFIG.corpora[wildcards.corpus].model_dump(mode="json")),
    message:
        "reading the documents of {wildcards.corpus}"
    shell:
        "cpt-dynamics documents {wildcards.corpus:q} --configfile {params.config:q} > {log:q} 2>&1"


rule split:
    input:
        documents=Path(CONFIG.data) / "{name}/documents.parquet",
        source=Path(CONFIG.data) / "{name}/source.json",
        earlier=earlier,
        code=code("corpora.documents"),
    output:
        train=LAYOUT.root / "text/{name}/train.parquet",
        validation=LAYOUT.root / "text/{name}/validation.parquet",
        counts=LAYOUT.root / "text/{name}/split.json",
    log:
        LAYOUT.root / "logs/split/{name}.log",
    conda:
        "../../environment.yml"
    params:
        config=CONFIGFILE,
        split=settings("split", "roles"),
    message:
        "splitting {wildcards.name}"
    shell:
        "cpt-dynamics split {wildcards.name:q} --configfile {params.config:q} > {log:q} 2>&1"


rule near_duplicates:
    input:
        [
            LAYOUT.text(name) / f"{part}.parquet"
            for name in EXPERIMENTS.corpora(CONFIG)
            for part in ("train", "validation")
        ],
        code=code("corpora.near_duplicates"),
    output:
        [LAYOUT.near_duplicates(name) for name in EXPERIMENTS.corpora(CONFIG)],
    log:
        LAYOUT.root / "logs/near_duplicates.log",
    conda:
        "../../environment.yml"
    params:
        config=CONFIGFILE,
    message:
        "comparing validation documents with training documents"
    shell:
        "cpt-dynamics near-duplicates --configfile {params.config:q} > {log:q} 2>&1"


rule tokenizer:
    input:
        train=[LAYOUT.text(CONFIG.corpus_of(role)) / "train.parquet" for role in CONFIG.tokenizer.shares],
        code=code("corpora.tokenizer"),
    output:
        LAYOUT.tokenizer,
    log:
        LAYOUT.root / "logs/tokenizer.log",
    conda:
        "../../environment.yml"
    params:
        config=CONFIGFILE,
        tokenizer=settings("tokenizer", "roles"),
    message:
        "training the tokenizer"
    shell:
        "cpt-dynamics tokenizer --configfile {params.config:q} > {log:q} 2>&1"


rule tokens:
    input:
        train=LAYOUT.root / "text/{name}/train.parquet",
        validation=LAYOUT.root / "text/{name}/validation.parquet",
        tokenizer=LAYOUT.tokenizer,
        near_duplicates=LAYOUT.root / "text/{name}/near_duplicates.json" if CONFIG.split.near_duplicates else [],
        code=code("corpora.tokens"),
    output:
        multiext(str(LAYOUT.root / "tokens/{name}.train"), ".bin", ".json"),
        multiext(str(LAYOUT.root / "tokens/{name}.validation"), ".bin", ".json"),
    log:
        LAYOUT.root / "logs/tokens/{name}.log",
    conda:
        "../../environment.yml"
    threads: lambda wildcards: 8 if CONFIG.corpora[wildcards.name].source in ("huggingface", "http") else 1
    params:
        config=CONFIGFILE,
        left_out=CONFIG.split.near_duplicates,
    message:
        "encoding {wildcards.name}"
    shell:
        "RAYON_NUM_THREADS={threads} cpt-dynamics tokens {wildcards.name:q} --configfile {params.config:q} > {log:q} 2>&1"


rule data:
    input:
        [
            LAYOUT.tokens(name, part).with_suffix(suffix)
            for name in CONFIG.validations()
            for part in ("train", "validation")
            for suffix in (".bin", ".json")
        ],
    localrule: True
    conda:
        "../../environment.yml"
