# One job trains one branch of the tree that the runs share (`cpt-dynamics plan` lists it).


rule train:
    input:
        tokens=rules.data.input,
        more_tokens=own_tokens,
        tokenizer=LAYOUT.tokenizer,
        model=lambda wildcards: model_files(CONFIG.models[PLAN.branches[wildcards.branch].run.model]),
        parent=parent,
        code=code("cli.train"),
    output:
        curve=LAYOUT.root / "branches/{branch}.parquet",
        manifest=LAYOUT.root / "branches/{branch}.json",
    log:
        LAYOUT.root / "logs/train/{branch}.log",
    priority: lambda wildcards: PLAN.steps_below(wildcards.branch)
    retries: RETRIES
    conda:
        "../../environment.yml"
    threads: THREADS  # of all processes: torchrun starts them within one task
    resources:
        gpu=GPUS,
        mem_mb=MEMORY_MB,
        nodes=1,  # GPUs alone could be given on several
        runtime=lambda wildcards, attempt: requested(estimated(wildcards.branch).minutes, attempt),
    params:
        config=CONFIGFILE,
        launch=LAUNCH,
    message:
        "training {wildcards.branch}: {STATED:{wildcards.branch}}; asks for {resources.runtime} minutes, "
        "{THREADS} CPUs, {resources.gpu} GPUs, {resources.mem_mb} MB"
    shell:
        "{params.launch} train --branch {wildcards.branch:q} --configfile {params.config:q} > {log:q} 2>&1"


rule runs:
    input:
        [LAYOUT.branch(branch.id) for branch in PLAN.needed(EXPERIMENTS.chosen(None))],
    localrule: True
    conda:
        "../../environment.yml"
