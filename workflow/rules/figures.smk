# Drawing: from curves and fits, so that a new style never trains or fits anything.


rule plot:
    input:
        curves=curves_of,
        fit=LAYOUT.root / "fits/{figure}.json",
        claims=lambda wildcards: "config/claims.yaml" if wildcards.figure == "contrasts" else [],
        code=lambda wildcards: code("cli.plot", *of_figures("draw", wildcards.figure)),
    output:
        pdf=LAYOUT.root / "figures/{figure}.pdf",
        png=report(
            LAYOUT.root / "figures/{figure}.png",
            category="Figures",
            caption="../report/figure.rst",
            labels={"figure": "{figure}"},
        ),
        table=LAYOUT.root / "figures/{figure}.csv",
    log:
        LAYOUT.root / "logs/plot/{figure}.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=CONFIGFILE,
        roles=settings("roles", "law"),
    message:
        "drawing {wildcards.figure}"
    shell:
        "cpt-dynamics plot {wildcards.figure:q} --configfile {params.config:q} > {log:q} 2>&1"


# `snakemake fig03` makes one figure and trains only the runs that it needs.
for name in EXPERIMENTS.figures:

    rule:
        name:
            name
        input:
            multiext(str(LAYOUT.figure(name, "")), "pdf", "png", "csv"),
        localrule: True
        conda:
            "../../environment.yml"


rule figures:
    input:
        [LAYOUT.figure(figure, suffix) for figure in FIGURES for suffix in ("pdf", "png", "csv")],
    localrule: True
    conda:
        "../../environment.yml"
