"""``gradcam``: what a model of several inputs looked at, of one sample, of some, or of whole splits."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from seewhy.values import SeewhyError

EXIT_REFUSED: Final = 2
METHODS: Final = ("gradcam", "gradcam++", "smoothgrad", "vargrad", "both", "all")
DATASETS: Final = ("train", "val", "test", "all")


def main() -> None:
    """The console script."""
    sys.exit(gradcam(sys.argv[1:]))


def gradcam(words: Sequence[str]) -> int:
    """Run the command with these words; the exit code.

    0 when all is well, 1 when a sample failed, 2 when the request was refused.
    """
    asked = parser().parse_args(words)
    from seewhy.cli.gradcam_runs import run

    try:
        return run(asked)
    except SeewhyError as error:
        print(f"error {error}", file=sys.stderr)
        return EXIT_REFUSED


def parser() -> argparse.ArgumentParser:
    """The words it takes."""
    made = argparse.ArgumentParser(
        prog="gradcam",
        description="Explain a model of several inputs: one sample, some samples, or whole splits with --dataset.",
    )
    made.add_argument("--config", type=Path, help="TOML file of the model and its data (default: the packaged example)")
    made.add_argument("--checkpoint", type=Path, help="its weights (default: the newest in log_dir/model_name)")
    made.add_argument("--mode", choices=("single", "batch"), help="one sample (default) or several")
    made.add_argument("--sample_idx", type=int, default=0, metavar="N", help="which sample, with --mode single")
    made.add_argument("--num_samples", type=int, default=5, metavar="N", help="how many samples, with --mode batch")
    made.add_argument(
        "--save_dir", type=Path, help="where the files go (default: gradcam_results_ and the date and time)"
    )
    made.add_argument("--method", choices=METHODS, default="gradcam")
    made.add_argument("--dataset", choices=DATASETS, help="analyse whole splits; with --mode the split to take from")
    made.add_argument("--max_samples", type=int, metavar="N", help="at most this many samples of each split")
    made.add_argument(
        "--output_dir", type=Path, default=Path("CAMVis"), help="with --dataset: holds session_ and the date and time"
    )
    made.add_argument("--n_samples", type=int, default=50, metavar="N", help="noisy inputs of smoothgrad and vargrad")
    made.add_argument("--noise_level", type=float, default=0.15, help="their noise, as a share of an input's range")
    made.add_argument(
        "--scaling", choices=("common", "each"), default="common", help="one scale for all inputs of a sample, or each"
    )
    return made


if __name__ == "__main__":
    main()
