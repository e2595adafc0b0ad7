# The verdict on every claim of the paper, from fits alone, so that a new bound never trains or fits anything.
from cpt_dynamics import claims
from cpt_dynamics.claims import contrasts

CLAIMED = [figure for figure in [*checked(claims.load).figures, contrasts.FIGURE] if figure in FIGURES]


rule findings:
    input:
        fits=[LAYOUT.fit(figure) for figure in CLAIMED],
        claims="config/claims.yaml",
        code=code("cli.findings", *of_figures("result", *CLAIMED)),
    output:
        json=LAYOUT.root / "findings.json",
        csv=report(
            LAYOUT.root / "findings.csv",
            category="Findings",
            caption="../report/findings.rst",
            labels={"table": "verdicts and criteria"},
        ),
    log:
        LAYOUT.root / "logs/findings.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=CONFIGFILE,
    message:
        "testing the findings"
    shell:
        "cpt-dynamics findings --all --write --configfile {params.config:q} > {log:q} 2>&1"
