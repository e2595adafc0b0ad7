# Curves of each run, and what is fitted to those of a figure.

if RELEASED:

    # One job for all runs: to check and to read the files takes longer than to write one.
    rule curves:
        input:
            released=released("curves.parquet", "schedules.parquet", "plan.json"),
            code=code("cli.curves"),
        output:
            run_tables(RUNS),
        log:
            LAYOUT.root / "logs/curves.log",
        localrule: True
        conda:
            "../../environment.yml"
        params:
            config=CONFIGFILE,
            runs=RUNS,
            origins=canonical({run: PLAN.origins[run] for run in RUNS}),
        message:
            "taking the curves of all runs from {input.released[0]}"
        shell:
            "cpt-dynamics curves {params.runs:q} --configfile {params.config:q} > {log:q} 2>&1"

else:

    rule curves:
        input:
            branches=branches,
            code=code("cli.curves"),
        output:
            curves=LAYOUT.root / "curves/{run}.parquet",
            schedules=LAYOUT.root / "curves/{run}.schedules.parquet",
        log:
            LAYOUT.root / "logs/curves/{run}.log",
        localrule: True
        conda:
            "../../environment.yml"
        params:
            config=CONFIGFILE,
            origins=lambda wildcards: canonical(PLAN.origins[wildcards.run]),
        message:
            "putting the curve of {wildcards.run} together"
        shell:
            "cpt-dynamics curves {wildcards.run:q} --configfile {params.config:q} > {log:q} 2>&1"


rule analyse:
    input:
        curves=curves_of,
        fits=needed_fits,
        recommended=trial_curves,
        published="data/published/coefficients.yaml",
        code=lambda wildcards: code("cli.analyse", *of_figures("analyse", wildcards.figure)),
    output:
        LAYOUT.root / "fits/{figure}.json",
    log:
        LAYOUT.root / "logs/analyse/{figure}.log",
    conda:
        "../../environment.yml"
    params:
        config=CONFIGFILE,
        entry=lambda wildcards: canonical(EXPERIMENTS.figures[wildcards.figure].model_dump()),
        law=settings("law", "roles"),
    message:
        "fitting {wildcards.figure}"
    shell:
        "cpt-dynamics analyse {wildcards.figure:q} --configfile {params.config:q} > {log:q} 2>&1"


rule fits:
    input:
        [LAYOUT.fit(figure) for figure in FIGURES],
    localrule: True
    conda:
        "../../environment.yml"
