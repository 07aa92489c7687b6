"""The modules of a study, which import each other by plain names, as scripts do."""

import importlib
import sys
from contextlib import contextmanager
from types import SimpleNamespace


@contextmanager
def modules_of(names, *folders):
    """Modules in the folders of studies by name; forgotten afterwards, as other studies use the same names."""
    before, places = list(sys.path), [str(folder) for folder in folders]
    sys.path[:0] = places
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path[:] = before
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", "")).startswith(tuple(places)):
                del sys.modules[name]
