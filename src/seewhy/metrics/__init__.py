"""Grades maps: by what the model does, by where the object is, by itself. Importing this room registers every metric."""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
