"""The tasks beyond classification: detection, segmentation with its uncertainty, similarity and regression.

    python examples/interpretation/interpretation_phase2_demo.py --output-dir tasks

Runs the two demonstrations beside it one after the other; each trains its small model in a few seconds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from detection_demo import explain_detections
from segmentation_demo import explain_scenes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output-dir", type=Path, default=Path("tasks"))
    output_dir = parser.parse_args().output_dir
    explain_detections(output_dir / "detection")
    explain_scenes(output_dir / "segmentation")


if __name__ == "__main__":
    main()
