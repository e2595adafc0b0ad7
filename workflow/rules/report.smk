# Tables, the LaTeX report and summary.json: written from results, so that a new sentence never trains or fits anything.
from cpt_dynamics import report as reporting
from cpt_dynamics.report import document

TABLES = reporting.available(EXPERIMENTS)
SOURCES = checked(reporting.sources, CONFIG, EXPERIMENTS)
MANIFESTS = [LAYOUT.branch(branch.id).with_suffix(".json") for branch in PLAN.needed(EXPERIMENTS.chosen(None))]
if RELEASED:
    MANIFESTS = released("manifests.json")
if not HAS_TEX:
    print(document.NO_TEX, file=sys.stderr)


rule table:
    input:
        results=lambda wildcards: reporting.TABLES[wildcards.table].inputs(CONFIG, EXPERIMENTS),
        code=code("cli.report", *of_figures("text", *FIGURES)),
    output:
        csv=report(
            LAYOUT.root / "tables/{table}.csv",
            category="Tables",
            labels={"table": "{table}"},
        ),
        tex=LAYOUT.root / "tables/{table}.tex",
    log:
        LAYOUT.root / "logs/table/{table}.log",
    wildcard_constraints:
        table="|".join(TABLES),
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=CONFIGFILE,
        settings=settings("models", "optimizer", "batch", "lengths", "law", "roles", "tokenizer", "corpora"),
    message:
        "writing {wildcards.table}"
    shell:
        "cpt-dynamics report --table {wildcards.table:q} --configfile {params.config:q} > {log:q} 2>&1"


# `snakemake table1` makes one table.
for name in TABLES:

    rule:
        name:
            name
        input:
            multiext(str(LAYOUT.table(name, "")), "csv", "tex"),
        localrule: True
        conda:
            "../../environment.yml"


rule report_sources:
    input:
        paper=document.paper_sources() + document.templates(),
        tables=[LAYOUT.table(table, "tex") for table in TABLES],
        figures=[LAYOUT.figure(figure, suffix) for figure in FIGURES for suffix in ("pdf", "csv")],
        fits=rules.fits.input,
        manifests=MANIFESTS,
        corpora=reporting.TABLES["table_corpora"].inputs(CONFIG, EXPERIMENTS),
        agreement=AGREEMENT,
        published="data/published/coefficients.yaml",
        claims="config/claims.yaml",
        code=code("cli.report", *of_figures("text", *FIGURES)),
    output:
        SOURCES,
    log:
        LAYOUT.root / "logs/report_sources.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=CONFIGFILE,
        settings=settings("seed", "lengths", "law", "roles"),
    message:
        "writing the sources of the report"
    shell:
        "cpt-dynamics report --sources --configfile {params.config:q} > {log:q} 2>&1"


rule report_pdf:
    input:
        SOURCES,
        MANIFESTS,
    output:
        report(LAYOUT.report / "report.pdf", category="Report"),
    log:
        LAYOUT.root / "logs/report_pdf.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=CONFIGFILE,
    message:
        "compiling the report"
    shell:
        "cpt-dynamics report --pdf --configfile {params.config:q} > {log:q} 2>&1"


rule summary:
    input:
        tables=[LAYOUT.table(table) for table in TABLES],
        figures=[LAYOUT.figure(figure, suffix) for figure in FIGURES for suffix in ("pdf", "csv")],
        fits=rules.fits.input,
        manifests=MANIFESTS,
        corpora=reporting.TABLES["table_corpora"].inputs(CONFIG, EXPERIMENTS),
        published="data/published/coefficients.yaml",
        claims="config/claims.yaml",
        code=code("cli.summary", *of_figures("result", *FIGURES)),
    output:
        LAYOUT.summary,
    log:
        LAYOUT.root / "logs/summary.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        config=CONFIGFILE,
        settings=settings("seed", "lengths", "law", "roles"),
    message:
        "writing the summary"
    shell:
        "cpt-dynamics summary --configfile {params.config:q} > {log:q} 2>&1"


# With TeX the PDF, otherwise its sources.
rule paper:
    input:
        LAYOUT.report / "report.pdf" if HAS_TEX else SOURCES,
    localrule: True
    conda:
        "../../environment.yml"
