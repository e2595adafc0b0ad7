# What the fitted laws recommend, trained: the values are known only after the fits, so their runs are not in the plan.
RECOMMENDS = trials.FIGURE in EXPERIMENTS.figures


if RECOMMENDS:

    rule trial_plan:
        input:
            curves=run_tables(EXPERIMENTS.runs_of(trials.FIGURE)),
            code=code("cli.trial_plan"),
        output:
            trials.plan_path(CONFIG),
        log:
            LAYOUT.root / "logs/trial_plan.log",
        conda:
            "../../environment.yml"
        params:
            config=CONFIGFILE,
            entry=canonical(EXPERIMENTS.figures[trials.FIGURE].model_dump()),
            law=settings("law", "roles", "lengths"),
        message:
            "recommending values from fitted laws"
        shell:
            "cpt-dynamics trial-plan --configfile {params.config:q} > {log:q} 2>&1"


if RECOMMENDS and RELEASED:

    rule trial_runs:
        input:
            plan=trials.plan_path(CONFIG),
            released=released("curves.parquet", "schedules.parquet", "plan.json", "recommended.json"),
            code=code("cli.trial_runs"),
        output:
            curves=trials.folder(CONFIG) / "{knob}.parquet",
            schedules=trials.folder(CONFIG) / "{knob}.schedules.parquet",
        log:
            LAYOUT.root / "logs/trial_runs/{knob}.log",
        wildcard_constraints:
            knob="|".join(trials.KNOBS),
        localrule: True
        conda:
            "../../environment.yml"
        params:
            config=CONFIGFILE,
        message:
            "taking what is recommended for {wildcards.knob} from {input.released[0]}"
        shell:
            "cpt-dynamics trial-runs --knob {wildcards.knob:q} --configfile {params.config:q} > {log:q} 2>&1"


if RECOMMENDS and not RELEASED:

    rule trial_runs:
        input:
            plan=trials.plan_path(CONFIG),
            # The runs start from checkpoints of these, or are the same.
            branches=[
                LAYOUT.branch(branch.id).with_suffix(suffix)
                for branch in PLAN.needed(EXPERIMENTS.runs_of(trials.FIGURE))
                for suffix in (".parquet", ".json")
            ],
            tokens=rules.data.input,
            tokenizer=LAYOUT.tokenizer,
            code=code("cli.trial_runs"),
        output:
            curves=trials.folder(CONFIG) / "{knob}.parquet",
            schedules=trials.folder(CONFIG) / "{knob}.schedules.parquet",
        log:
            LAYOUT.root / "logs/trial_runs/{knob}.log",
        wildcard_constraints:
            knob="|".join(trials.KNOBS),
        retries: RETRIES
        conda:
            "../../environment.yml"
        threads: THREADS
        resources:
            gpu=GPUS,
            mem_mb=MEMORY_MB,
            nodes=1,
            runtime=lambda wildcards, attempt: requested(trial_minutes(), attempt),
        params:
            config=CONFIGFILE,
            launch=LAUNCH,
        message:
            "training what is recommended for {wildcards.knob}"
        shell:
            "{params.launch} trial-runs --knob {wildcards.knob:q} --configfile {params.config:q} > {log:q} 2>&1"
