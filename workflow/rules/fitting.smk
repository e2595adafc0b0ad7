# Curves of each figure's runs, and what is fitted to them.

if RELEASED:

    # One job for all figures: to check and to read the files takes longer than to write one.
    rule curves:
        input:
            released=released("curves.parquet", "schedules.parquet", "plan.json"),
            code=code("cli.curves"),
        output:
            curves=[LAYOUT.curves(figure) for figure in TRAINED],
            schedules=[LAYOUT.schedules(figure) for figure in TRAINED],
        log:
            LAYOUT.root / "logs/curves.log",
        localrule: True
        conda:
            "../../environment.yml"
        params:
            config=CONFIGFILE,
            figures=TRAINED,
            runs=canonical({figure: EXPERIMENTS.runs_of(figure) for figure in TRAINED}),
        message:
            "taking the curves of all figures from {input.released[0]}"
        shell:
            "cpt-dynamics curves {params.figures} --configfile {params.config:q} > {log:q} 2>&1"

else:

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
        localrule: True
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
        "cpt-dynamics analyse {wildcards.figure} --configfile {params.config:q} > {log:q} 2>&1"


rule fits:
    input:
        [LAYOUT.fit(figure) for figure in FIGURES],
    localrule: True
    conda:
        "../../environment.yml"
