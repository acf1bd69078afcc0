"""Reports know numpy, pyarrow, Pillow and Jinja2: they must work where torch is not even imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from report_small_runs import mapped, row, seen, write_small_run

import seewhy.report

SCRIPT = """
import sys
from pathlib import Path
from seewhy.report.static_report import remake_report
remake_report(sys.argv[1])
rooms = {name.split(".")[1] for name in sys.modules if name.startswith("seewhy.")}
print(*sorted(rooms - {"report", "store", "render", "values"}), *sorted(sys.modules.keys() & {"torch", "matplotlib"}))
"""


def test_a_report_is_made_without_torch(tmp_path: Path) -> None:
    rows = [row("a", answers=mapped([[[1.0]], [[0.0]], [[-1.0]]]), previews=seen())]
    root = write_small_run(tmp_path / "run", rows)
    source = str(Path(seewhy.report.__path__[0]).parents[1])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(root)],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
    assert (root / "report" / "index.html").is_file()
