"""``analyze_features``: pictures and a table with verdicts of a feature file's layers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from seewhy.values import SeewhyError

EXIT_REFUSED: Final = 2


def main() -> None:
    """The console script."""
    sys.exit(analyze_features(sys.argv[1:]))


def analyze_features(words: Sequence[str]) -> int:
    """Run the command with these words; the exit code: 0 when all is well, 2 when the request was refused."""
    asked = parser().parse_args(words)
    try:
        return _run(asked.feature_file, asked.save_dir, asked.layers)
    except SeewhyError as error:
        print(f"error {error}", file=sys.stderr)
        return EXIT_REFUSED


def parser() -> argparse.ArgumentParser:
    """The words it takes."""
    made = argparse.ArgumentParser(
        prog="analyze_features",
        description="Draw and measure the layers of a feature file that inspect_features wrote: distribution, channel "
        "statistics and spatial patterns of each, all layers compared, and a table with rules of thumb.",
    )
    made.add_argument("feature_file", type=Path, help="a .pkl or .safetensors file of features")
    made.add_argument(
        "--save_dir", type=Path, default=Path("feature_analysis"), help="where pictures and tables go (%(default)s)"
    )
    made.add_argument(
        "--layers", nargs="+", default=["all"], metavar="LAYER", help="which layers, such as layer1 layer2 (all)"
    )
    return made


def _run(feature_file: Path, save_dir: Path, layers: Sequence[str]) -> int:
    from seewhy.cli.layers import aligned
    from seewhy.features.verdict import MEAN_BAND, SPARSITY_BAND, SPREAD_BAND
    from seewhy.inspection.analysis import analyze, loaded, told

    data = loaded(feature_file)
    found = analyze(data, save_dir, layers)
    print(f"{feature_file}: {told(data)}")
    print()
    print("\n".join(aligned(found.rows())))
    print()
    for note in dict.fromkeys(f"{layer}: {note}" for layer, row in found.table.items() for note in row["notes"]):
        print(f"  {note}")
    print(
        f"Rules of thumb for layers behind a ReLU: mean {MEAN_BAND[0]} to {MEAN_BAND[1]}, sparsity "
        f"{SPARSITY_BAND[0]:.0%} to {SPARSITY_BAND[1]:.0%}, spread over channels {SPREAD_BAND[0]} to {SPREAD_BAND[1]}."
    )
    for note in found.notes:
        print(note)
    print(f"{len(found.files)} files written to {save_dir}")
    return 0


if __name__ == "__main__":
    main()
