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


if RECOMMENDS and RELEASED:

    rule recommended:
        input:
            plan=of_recommended.plan_path(CONFIG),
            released=released("curves.parquet", "schedules.parquet", "plan.json", "recommended.json"),
            code=code("cli.recommended"),
        output:
            curves=of_recommended.folder(CONFIG) / "{knob}.parquet",
            schedules=of_recommended.folder(CONFIG) / "{knob}.schedules.parquet",
        log:
            LAYOUT.root / "logs/recommended/{knob}.log",
        wildcard_constraints:
            knob="|".join(of_recommended.KNOBS),
        localrule: True
        conda:
            "../../environment.yml"
        params:
            config=CONFIGFILE,
        message:
            "taking what is recommended for {wildcards.knob} from {input.released[0]}"
        shell:
            "cpt-dynamics recommended --knob {wildcards.knob} --configfile {params.config:q} > {log:q} 2>&1"


if RECOMMENDS and not RELEASED:

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
        retries: RETRIES
        conda:
            "../../environment.yml"
        threads: THREADS
        resources:
            gpu=GPUS,
            mem_mb=MEMORY_MB,
            nodes=1,
            runtime=lambda wildcards, attempt: requested(recommended_minutes(), attempt),
        params:
            config=CONFIGFILE,
            launch=LAUNCH,
        message:
            "training what is recommended for {wildcards.knob}"
        shell:
            "{params.launch} recommended --knob {wildcards.knob} --configfile {params.config:q} > {log:q} 2>&1"
