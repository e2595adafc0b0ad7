# How far the scale agrees with others that are released with their results.
from cpt_dynamics.report.agreement import results as scale_results

OTHERS = scale_results.others(CONFIG)
AGREEMENT = [LAYOUT.agreement, LAYOUT.figure("agreement")] if OTHERS else []


for folder in OTHERS:  # a mistake is said before anything runs
    checked(scale_results.read, folder)


if OTHERS:

    rule agreement:
        input:
            fits=[LAYOUT.fit(figure) for figure in FIGURES],
            results=[folder / "results.json" for folder in OTHERS],
            released=[folder / "release.json" for folder in OTHERS],
            claims="config/claims.yaml",
            code=code("cli.agreement"),
        output:
            json=LAYOUT.agreement,
            csv=report(
                LAYOUT.root / "agreement.csv",
                category="Findings",
                labels={"table": "agreement with other scales"},
            ),
            pdf=LAYOUT.figure("agreement"),
            png=report(
                LAYOUT.figure("agreement", "png"),
                category="Figures",
                labels={"figure": "agreement"},
            ),
            table=LAYOUT.figure("agreement", "csv"),
        log:
            LAYOUT.root / "logs/agreement.log",
        localrule: True
        conda:
            "../../environment.yml"
        params:
            config=CONFIGFILE,
            settings=settings("models", "optimizer", "batch", "lengths", "law", "roles", "tokenizer"),
        message:
            "comparing with other scales"
        shell:
            "cpt-dynamics agreement --configfile {params.config:q} > {log:q} 2>&1"

else:
    print(f"without the section on agreement between scales: {scale_results.alone(CONFIG)}", file=sys.stderr)
