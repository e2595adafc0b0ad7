# The benchmark of laws, and the paper of its own on the square-root noise law. Made only when asked for.
from cpt_dynamics.report.law_paper import sources as law_paper_files

BENCHMARK = Path(CONFIG.results) / "benchmark"
LAW_PAPER = Path(CONFIG.results) / "law-paper"


rule benchmark:
    input:
        curves=curves_of_benchmark,
        splits="data/benchmark/splits.yaml",
        code=code("cli.benchmark"),
    output:
        BENCHMARK / "results.json",
        multiext(str(BENCHMARK / "leaderboard"), ".csv", ".md", ".html"),
    log:
        BENCHMARK / "benchmark.log",
    conda:
        "../../environment.yml"
    threads: 2
    params:
        sets=lambda wildcards: list(sets_of_benchmark()),
        folder=BENCHMARK,
    message:
        "testing every law on {params.sets}"
    shell:
        "cpt-dynamics benchmark --set {params.sets:q} --processes {threads} --out {params.folder:q} > {log:q} 2>&1"


rule law_fits:
    input:
        results=BENCHMARK / "results.json",
        curves=curves_of_benchmark,
        splits="data/benchmark/splits.yaml",
        code=code("leaderboard.fits"),
    output:
        LAW_PAPER / "fits.json",
    log:
        LAW_PAPER / "fits.log",
    conda:
        "../../environment.yml"
    params:
        folder=LAW_PAPER,
    message:
        "fitting the noise law to every split"
    shell:
        "cpt-dynamics law-paper --fits --benchmark {input.results:q} --out {params.folder:q} > {log:q} 2>&1"


rule law_sources:
    input:
        results=BENCHMARK / "results.json",
        fits=LAW_PAPER / "fits.json",
        paper=law_paper_files.COPIED,
        templates=document.templates(),
        code=code("cli.law_paper"),
    output:
        law_paper_files.sources(LAW_PAPER),
    log:
        LAW_PAPER / "sources.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        folder=LAW_PAPER,
    message:
        "writing the sources of the paper on the noise law"
    shell:
        "cpt-dynamics law-paper --sources --benchmark {input.results:q} --out {params.folder:q} > {log:q} 2>&1"


rule law_pdf:
    input:
        law_paper_files.sources(LAW_PAPER),
    output:
        LAW_PAPER / "law.pdf",
    log:
        LAW_PAPER / "pdf.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        folder=LAW_PAPER,
    message:
        "compiling the paper on the noise law"
    shell:
        "cpt-dynamics law-paper --pdf --out {params.folder:q} > {log:q} 2>&1"


# With TeX the PDF, otherwise its sources.
rule law_paper:
    input:
        LAW_PAPER / "law.pdf" if HAS_TEX else law_paper_files.sources(LAW_PAPER),
    localrule: True
    conda:
        "../../environment.yml"
