# Public curves. On the first set (MIT licence) laws without a transfer are compared in the report, on delphi laws of CPT.


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


for name, folder in EXPERIMENTS.absent.items():
    target = "fetch_public_curves" if folder == LAYOUT.public["public"] else folder / "source.json"
    remedy = f"`snakemake --cores 1 {target}` fetches them"
    print(f"without {name}, since {folder} does not hold the public curves: {remedy}", file=sys.stderr)
