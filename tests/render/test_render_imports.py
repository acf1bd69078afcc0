"""Drawing needs neither torch nor a plotting library."""

import json
import os
import subprocess
import sys

DRAW = """
import json, sys
import numpy as np
from seewhy.render import attention_sheet, encode_png, overlay_picture

picture = np.zeros((32, 32, 3), np.uint8)
encode_png(overlay_picture(picture, np.eye(4), title="é"))
encode_png(attention_sheet(picture, {"layer 0": np.ones((2, 4, 4))}, np.eye(4), title="record"))
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def test_no_heavy_module_is_imported_to_draw():
    result = subprocess.run([sys.executable, "-c", DRAW], capture_output=True, text=True, check=True, env=environment())
    loaded = set(json.loads(result.stdout))
    assert "PIL" in loaded
    assert not loaded & {"torch", "torchvision", "matplotlib", "scipy", "pandas", "hydra"}


def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
