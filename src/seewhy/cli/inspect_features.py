"""``inspect_features``: what every layer of a trained model puts out for chosen samples and time steps, as files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from seewhy.remote.address import as_place
from seewhy.values import ConfigError, SeewhyError

EXIT_REFUSED: Final = 2
USUAL_DATA: Final = "Robofarmer-II"


def main() -> None:
    """The console script."""
    sys.exit(inspect_features(sys.argv[1:]))


def inspect_features(words: Sequence[str]) -> int:
    """Run the command with these words; the exit code.

    0 when all is well, 1 when a sample failed, 2 when the request was refused.
    """
    asked = parser().parse_args(words)
    from seewhy.cli.inspect_runs import run

    try:
        return run(asked)
    except SeewhyError as error:
        print(f"error {error}", file=sys.stderr)
        return EXIT_REFUSED


def parser() -> argparse.ArgumentParser:
    """The words it takes."""
    made = argparse.ArgumentParser(
        prog="inspect_features",
        description="Save, draw and measure what each layer of a model puts out. The data set is one of the "
        "configurations below configs/data or of the package (Robofarmer-II, video, image_folder, cluttered_digits).",
    )
    made.add_argument(
        "--checkpoint", type=as_place, required=True, help="the trained weights (.pth, .ckpt, .safetensors)"
    )
    made.add_argument("--dset", default=USUAL_DATA, metavar="NAME", help=f"the data set (default: {USUAL_DATA})")
    made.add_argument("--data_root", metavar="DIR", help="its folder or address, in place of the configuration's")
    made.add_argument("--split", metavar="NAME", help="count only samples of this split (default: all, in their order)")
    made.add_argument("--batch_size", type=positive, metavar="N", help="clips or pictures at once (default: 2)")
    made.add_argument("--max_len", type=positive, metavar="N", help="frames of a clip, evenly spread (default: 8)")
    made.add_argument(
        "--size", type=positive, metavar="PIXELS", help="input resolution (default: the data set's, else 512)"
    )
    made.add_argument("--workers", type=natural, default=1, metavar="N", help="processes that read data (default: 1)")
    made.add_argument("--save_dir", type=Path, default=Path("feature_maps"), help="where files go (feature_maps)")
    made.add_argument("--batch_idx", type=int, metavar="N", help="which sample of the data set, from 0 (default: 0)")
    made.add_argument("--timestep", type=int, metavar="N", help="which time step of its clip, from 0 (default: 0)")
    made.add_argument("--dense_gaze", action="store_true", help="every gaze point of a frame's time, not the nearest")
    made.add_argument("--samples", metavar="LIST", help="several samples: 0-7 or 0,3,5-6; in place of --batch_idx")
    made.add_argument("--timesteps", metavar="LIST", help="several time steps: 0-7; in place of --timestep")
    made.add_argument("--layers", nargs="+", metavar="NAME", help="names, patterns or types (default: the stages)")
    made.add_argument("--format", choices=("pkl", "safetensors"), default="pkl", help="of the feature files (pkl)")
    made.add_argument("--records", metavar="N", help="run so many samples (or all) for the statistics over many inputs")
    made.add_argument(
        "--num_channels", type=positive, default=16, metavar="N", help="channels drawn of each layer (16)"
    )
    made.add_argument("--no_plots", action="store_true", help="write no pictures")
    made.add_argument(
        "--model",
        metavar="MODEL",
        help="timm:NAME, torchvision:NAME, a bare NAME or your dotted class, for a bare .pth",
    )
    made.add_argument(
        "--num-classes", type=positive, metavar="N", help="classes of the model (default: the checkpoint's)"
    )
    made.add_argument("--model-arg", action="append", default=[], metavar="KEY=VALUE", help="argument of the model")
    made.add_argument(
        "--frames_first", choices=("auto", "yes", "no"), default="auto",
        help="whether the model takes clips as (B, T, C, H, W) (default: as its first convolution tells)",
    )  # fmt: skip
    made.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")
    made.add_argument("--config-dir", metavar="DIR", help="your configurations (default: configs)")
    return made


def positive(text: str) -> int:
    """A whole number of 1 or more; argparse tells of anything else."""
    return _at_least(1, text)


def natural(text: str) -> int:
    """A whole number of 0 or more; argparse tells of anything else."""
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of {least} or more")
    return int(text)


def numbers(text: str, option: str) -> list[int]:
    """The whole numbers of a list such as ``0-7`` or ``0,3,5-6``.

    Raises:
        ConfigError: ``SW-F212``.

    Example:
        >>> numbers("0,3,5-6", "--samples")
        [0, 3, 5, 6]
    """
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise ConfigError("SW-F212", f"{option} {text!r} is no list of numbers", fix="write 0-7 or 0,3,5-6")
        found += range(int(first), int(last or first) + 1)
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    main()
