from cpt_dynamics.cli import main

raise SystemExit(main())
