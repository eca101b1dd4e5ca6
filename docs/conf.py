"""How Sphinx builds the documentation: `python -m sphinx -W --keep-going -n -b html docs build/docs`."""

import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))  # the packages of the checkout, its studies, and docs._ext

_about = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = _about["name"]
author = _about["authors"][0]["name"]
release = version = _about["version"]
copyright = author

extensions = ["myst_parser", "sphinx.ext.autodoc", "docs._ext.docstrings", "docs._ext.generated"]
exclude_patterns = ["_ext", "examples", "images"]

# Pages are plain Markdown that GitHub shows too: anchors are made as GitHub makes them.
myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath"]
myst_links_external_new_tab = False
smartquotes = False

# Single backticks in docstrings are code; see docs/_ext/docstrings.py.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_class_signature = "separated"

# `python -m sphinx -b linkcheck docs build/links`: whether the addresses of others still answer. It takes a network.
linkcheck_timeout = 20
linkcheck_retries = 2
linkcheck_workers = 4
linkcheck_ignore = [r"https://github\.com/.*/(edit|settings)/"]  # need a login
linkcheck_anchors_ignore_for_url = [r"https://github\.com/"]  # made by scripts

html_theme = "furo"
html_title = project
html_show_sphinx = False
html_copy_source = False
