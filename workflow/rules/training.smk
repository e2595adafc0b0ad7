# One job trains one branch of the tree that the runs share (`cpt-dynamics plan` lists it).


rule train:
    input:
        tokens=rules.data.input,
        more_tokens=own_tokens,
        tokenizer=LAYOUT.tokenizer,
        parent=parent,
        code=code("cli.train"),
    output:
        curve=LAYOUT.root / "branches/{branch}.parquet",
        manifest=LAYOUT.root / "branches/{branch}.json",
    log:
        LAYOUT.root / "logs/train/{branch}.log",
    priority: lambda wildcards: steps_below(wildcards.branch)
    retries: 1  # a killed job goes on from its last checkpoint
    conda:
        "../../environment.yml"
    threads: CONFIG.device.threads
    resources:
        gpu=int(HAS_GPU),
        mem_mb=2000,
    params:
        config=CONFIGFILE,
    message:
        "training {wildcards.branch}"
    shell:
        "cpt-dynamics train --branch {wildcards.branch} --configfile {params.config:q} > {log:q} 2>&1"


rule runs:
    input:
        [LAYOUT.branch(branch.id) for branch in PLAN.needed(EXPERIMENTS.chosen(None))],
    localrule: True
    conda:
        "../../environment.yml"
