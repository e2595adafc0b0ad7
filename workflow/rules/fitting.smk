# Curves of each figure's runs, and what is fitted to them.
from cpt_dynamics import analysis


rule curves:
    input:
        branches=branches,
        code=code("cli.curves"),
    output:
        curves=LAYOUT.root / "curves/{figure}.parquet",
        schedules=LAYOUT.root / "curves/{figure}.schedules.parquet",
    log:
        LAYOUT.root / "logs/curves/{figure}.log",
    wildcard_constraints:
        figure="|".join(TRAINED),
    conda:
        "../../environment.yml"
    params:
        config=CONFIGFILE,
        runs=lambda wildcards: canonical(EXPERIMENTS.runs_of(wildcards.figure)),
    message:
        "putting the curves of {wildcards.figure} together"
    shell:
        "cpt-dynamics curves {wildcards.figure} --configfile {params.config:q} > {log:q} 2>&1"


rule analyse:
    input:
        curves=curves_of,
        fits=needed_fits,
        recommended=recommended_curves,
        published="data/published/coefficients.yaml",
        code=lambda wildcards: code("cli.analyse", checked(analysis.module, wildcards.figure)),
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
        "cpt-dynamics analyse {wildcards.figure} --configfile {params.config:q} > {log:q} 2>&1"


rule fits:
    input:
        [LAYOUT.fit(figure) for figure in FIGURES],
    localrule: True
    conda:
        "../../environment.yml"
