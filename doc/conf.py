"""How the documentation is built: Sphinx with MyST, warnings are errors (`make docs`)."""

project = 'motion_predictor'
copyright = 'motion_predictor contributors'
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.mathjax', 'sphinx.ext.napoleon']
html_theme = 'furo'
exclude_patterns = ['_build']
myst_enable_extensions = ['dollarmath']
myst_heading_anchors = 3
autodoc_typehints = 'none'
autodoc_member_order = 'bysource'
