# The front door: `snakemake --cores all` here runs the workflow of workflow/Snakefile.
include: "workflow/Snakefile"


rule default:
    default_target: True
    input:
        rules.all.input,
    localrule: True
    conda:
        "environment.yml"
