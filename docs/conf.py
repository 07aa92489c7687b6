"""How the documentation is built: `make docs`."""

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

import pathlens  # noqa: E402  # needs no path, but the extensions above do

project = "PathLens"
author = "The PathLens developers"
copyright = "The PathLens developers"
version = release = pathlens.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "api_reference",
    "cli_reference",
    "mathml",
]
exclude_patterns = ["_build", "_ext"]
# Docstrings set names in single backticks.
default_role = "code"

myst_enable_extensions = ["dollarmath", "deflist", "fieldlist", "attrs_block"]
myst_heading_anchors = 4
# The tests run them, on smaller settings.
nb_execution_mode = "off"

autosummary_generate = False
autodoc_class_signature = "mixed"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# Signatures name types that stand in no room's list of public names: those of other libraries, and
# small nouns that are passed through.
nitpick_ignore_regex = [("py:(class|obj|data|exc)", r".*")]

html_theme = "furo"
html_title = "PathLens"
html_static_path = ["_static"]
html_css_files = ["pathlens.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#1f5f8b",
        "color-brand-content": "#1f5f8b",
    },
    "dark_css_variables": {
        "color-brand-primary": "#7fb8dd",
        "color-brand-content": "#7fb8dd",
    },
}
html_math_renderer = "mathml"


def setup(app):
    """Take the notebooks in, which live beside the documentation."""
    target = HERE / "notebooks"
    target.mkdir(exist_ok=True)
    for old in target.glob("*.ipynb"):
        old.unlink()
    for notebook in sorted((HERE.parent / "notebooks").glob("*.ipynb")):
        shutil.copy(notebook, target / notebook.name)
