"""Settings of the pages: `make docs` builds them from the repository's root into site/, without a network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import cpt_dynamics

project = "cpt-dynamics"
author = "The cpt-dynamics developers"
version = release = cpt_dynamics.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "docstrings", "made", "mathml"]
exclude_patterns = ["_ext", "examples"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
suppress_warnings = ["config.cache"]

add_module_names = False
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 100

html_theme = "furo"
html_title = f"cpt-dynamics {version}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_copyright = False
