# Public pre-training curves (MIT licence), on which laws without a transfer are compared.


rule public_curves:
    input:
        published="data/published/multi_power.yaml",
        code=code("curves.public"),
    output:
        "data/public/multipowerlaw/source.json",
    log:
        LAYOUT.root / "logs/public_curves.log",
    localrule: True
    conda:
        "../../environment.yml"
    message:
        "fetching the public curves"
    shell:
        "cpt-dynamics public-curves --to data/public/multipowerlaw > {log:q} 2>&1"
