# Public curves. The first set (MIT licence), on which laws without a transfer are compared, is in the report.


rule fetch_public_curves:
    input:
        # Each file's sha256 is checked when it is read, so neither newer code nor a newer date asks for the network again.
        ancient("data/published/multi_power.yaml"),
    output:
        Path(CONFIG.public_curves) / "source.json",
    log:
        LAYOUT.root / "logs/public_curves.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        folder=lambda wildcards, output: os.path.dirname(output[0]),
    message:
        "fetching the public curves"
    shell:
        "cpt-dynamics public-curves --set multi-power --to {params.folder:q} > {log:q} 2>&1"


rule fetch_public_set:
    input:
        lambda wildcards: ancient(f"data/published/{wildcards.set.replace('-', '_')}.yaml"),
    output:
        Path(CONFIG.public_curves).parent / "{set}/source.json",
    log:
        LAYOUT.root / "logs/public_curves.{set}.log",
    wildcard_constraints:
        set="lr-scheduling|delphi",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        folder=lambda wildcards, output: os.path.dirname(output[0]),
    message:
        "fetching the public curves {wildcards.set}"
    shell:
        "cpt-dynamics public-curves --set {wildcards.set:q} --to {params.folder:q} > {log:q} 2>&1"


if EXPERIMENTS.absent:
    names = ", ".join(sorted(EXPERIMENTS.absent))
    remedy = "`snakemake --cores 1 fetch_public_curves` fetches them"
    print(f"without {names}, since {CONFIG.public_curves} does not hold the public curves: {remedy}", file=sys.stderr)
