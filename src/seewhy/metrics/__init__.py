"""Grades maps by what the model does, where the object is, and themselves. Importing it registers every metric."""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
