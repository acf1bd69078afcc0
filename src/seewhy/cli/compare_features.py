"""``compare_features``: two feature files side by side, layer by layer."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from seewhy.values import SeewhyError

EXIT_REFUSED: Final = 2
EXAMPLES: Final = """\
two time steps of one clip:
  inspect_features --checkpoint model.pth --timesteps 0,4 --save_dir steps
  compare_features steps/features_b0_t0_Robofarmer-II_512.pkl steps/features_b0_t4_Robofarmer-II_512.pkl

two checkpoints, each on the same input:
  inspect_features --checkpoint epoch_10.pth --save_dir early
  inspect_features --checkpoint epoch_90.pth --save_dir late
  compare_features early/features_b0_t0_Robofarmer-II_512.pkl late/features_b0_t0_Robofarmer-II_512.pkl

CKA (Kornblith 2019) is 1 where one reading is the other turned and scaled; with few places and many channels read the
unbiased estimate. The correlation is the median over channels.
"""


def main() -> None:
    """The console script."""
    sys.exit(compare_features(sys.argv[1:]))


def compare_features(words: Sequence[str]) -> int:
    """Run the command with these words; the exit code: 0 when all is well, 2 when the request was refused."""
    asked = parser().parse_args(words)
    try:
        return _run(asked.first, asked.second, asked.save_dir, asked.layers)
    except SeewhyError as error:
        print(f"error {error}", file=sys.stderr)
        return EXIT_REFUSED


def parser() -> argparse.ArgumentParser:
    """The words it takes."""
    made = argparse.ArgumentParser(
        prog="compare_features",
        description="Compare two feature files layer by layer: mean maps on one scale, their difference, CKA, and the "
        "correlation of each channel.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("first", type=Path, help="a .pkl or .safetensors file of features")
    made.add_argument("second", type=Path, help="the other")
    made.add_argument(
        "--save_dir", type=Path, default=Path("feature_comparison"), help="where pictures and numbers go (%(default)s)"
    )
    made.add_argument(
        "--layers", nargs="+", default=["all"], metavar="LAYER", help="which layers (all that both files have)"
    )
    return made


def _run(first: Path, second: Path, save_dir: Path, layers: Sequence[str]) -> int:
    from seewhy.cli.layers import aligned
    from seewhy.inspection.comparison import compare

    found = compare(first, second, save_dir, layers)
    print(f"1: {found.names[0]} ({first})")
    print(f"2: {found.names[1]} ({second})")
    print()
    print("\n".join(aligned(found.rows())))
    print()
    for note in found.notes():
        print(note)
    print(f"{len(found.files)} files written to {save_dir}")
    return 0


if __name__ == "__main__":
    main()
