# What the fitted laws recommend, trained: the values are known only after the fits, so their runs are not in the plan.
RECOMMENDS = of_recommended.FIGURE in EXPERIMENTS.figures


if RECOMMENDS:

    rule recommend:
        input:
            curves=LAYOUT.curves(of_recommended.FIGURE),
            schedules=LAYOUT.schedules(of_recommended.FIGURE),
            code=code("cli.recommendations"),
        output:
            of_recommended.plan_path(CONFIG),
        log:
            LAYOUT.root / "logs/recommend.log",
        conda:
            "../../environment.yml"
        params:
            config=CONFIGFILE,
            entry=canonical(EXPERIMENTS.figures[of_recommended.FIGURE].model_dump()),
            law=settings("law", "roles", "lengths"),
        message:
            "recommending values from fitted laws"
        shell:
            "cpt-dynamics recommendations --configfile {params.config:q} > {log:q} 2>&1"

    rule recommended:
        input:
            plan=of_recommended.plan_path(CONFIG),
            # The runs start from checkpoints of these, or are the same.
            branches=[
                LAYOUT.branch(branch.id).with_suffix(suffix)
                for branch in PLAN.needed(EXPERIMENTS.runs_of(of_recommended.FIGURE))
                for suffix in (".parquet", ".json")
            ],
            tokens=rules.data.input,
            tokenizer=LAYOUT.tokenizer,
            code=code("cli.recommended"),
        output:
            curves=of_recommended.folder(CONFIG) / "{knob}.parquet",
            schedules=of_recommended.folder(CONFIG) / "{knob}.schedules.parquet",
        log:
            LAYOUT.root / "logs/recommended/{knob}.log",
        wildcard_constraints:
            knob="|".join(of_recommended.KNOBS),
        retries: 1  # a killed job goes on from its last checkpoint
        conda:
            "../../environment.yml"
        threads: CONFIG.device.threads
        resources:
            gpu=int(HAS_GPU),
            mem_mb=2000,
        params:
            config=CONFIGFILE,
        message:
            "training what is recommended for {wildcards.knob}"
        shell:
            "cpt-dynamics recommended --knob {wildcards.knob} --configfile {params.config:q} > {log:q} 2>&1"
