"""The store knows numpy, pyarrow and the standard library: it must work where torch is not even imported."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import seewhy.store


def test_no_module_of_the_store_imports_torch_or_another_room() -> None:
    modules = [f"seewhy.store.{module.name}" for module in pkgutil.iter_modules(seewhy.store.__path__)]
    script = f"import sys, {', '.join(modules)}\nprint(*sorted(m for m in sys.modules if m.split('.')[0] in " + (
        "('torch', 'seewhy')))"
    )
    source = str(Path(seewhy.store.__path__[0]).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) == {"seewhy", "seewhy.values", "seewhy.store", *modules}
