"""Whether a command has anything to do, told from settings and from how files lie on the disk, before torch is loaded.

What a command depended on is noted before it runs, and kept beside the run as a receipt once it has ended well. The
same command then finds that nothing is different. Whatever cannot be told so is left to the run itself.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console

import seewhy
from seewhy.cli.data_files import data_state
from seewhy.cli.file_state import FileState
from seewhy.cli.outcome import Outcome, show_outcome
from seewhy.store.keys import digest
from seewhy.store.receipts import NOT_DRAWN, Receipt, directory_state, keep_receipt, read_receipts
from seewhy.values import Json, StoreError

PACKAGES: Final = (
    "seewhy", "torch", "torchvision", "timm", "numpy", "scipy", "pillow", "pyarrow", "safetensors", "hydra-core",
    "einops", "jaxtyping", "jinja2", "matplotlib", "plotly", "rich",
    "captum", "scikit-image", "zennit", "quantus", "grad-cam", "torchcam", "opencv-python", "opencv-python-headless",
    "scikit-learn", "umap-learn", "faiss-cpu", "transformers",
    "nibabel", "pydicom", "pylibjpeg", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle", "python-gdcm",
    "tifffile", "imagecodecs", "av",
)  # fmt: skip
"""Packages whose version may change what a run reads, computes or writes."""
WITHOUT_EFFECT: Final = frozenset(
    {"recheck", "debug", "output_dir", "paths", "writer_threads", "num_workers", "hydra", "runner", "ray"}
)
"""Settings that change no result: where a run lies, how busily and on which machines it works."""
ALWAYS_DONE: Final = ("shard", "profile")
"""Settings that ask for work of this very process: its part of a run, or how long it takes."""
LIBRARY_MODELS: Final = frozenset({"timm", "torchvision", "mae_vit", "multi_branch"})
"""Kinds of models whose code is seewhy's or a library's, so that a version tells whether it changed."""


@dataclass(frozen=True)
class Standing:
    """What a command depends on as it stands now: digests of its ``request`` and its ``data``.

    ``request`` covers settings, versions, the code of seewhy and how the checkpoint lies; ``data`` covers ``files``
    files of the data set.
    """

    output_dir: Path
    request: str
    data: str
    files: int
    report: bool
    retries: bool
    recheck: bool

    def receipt(self) -> Receipt | None:
        """The receipt that says that this command would change nothing, None where there is no such.

        Where there is none, the run will build on the shards there are, which are hashed before: those that lie
        otherwise than when a receipt was kept, all of them where a full look is asked for.

        Raises:
            StoreError: ``SW-S06``, a shard's bytes are not those that were committed.
        """
        if not self.recheck:
            candidates = [one for one in read_receipts(self.output_dir) if one.request == self.request]
            found = candidates[0] if candidates else None
            if found and found.data == self.data and found.directory == directory_state(self.output_dir):
                return found
        from seewhy.store.sound_shards import sound_shards

        try:
            sound_shards(self.output_dir, trusting=not self.recheck)
        except OSError:
            return None  # the run says what it cannot read
        except StoreError as error:
            if error.code == "SW-S06":
                raise
        return None

    def keep(self, outcome: Outcome) -> None:
        """Keep a receipt of a command that ended well; of any other, or where it cannot be written, nothing is kept.
        One that could not draw a picture has not: the next may.

        Shards that were written or changed since the last receipt are hashed: none is kept of a damaged one.
        """
        if outcome.interrupted or (outcome.failed and self.retries) or (outcome.report is None and self.report):
            return
        if any(note.startswith(NOT_DRAWN) for note in outcome.notes):
            return
        if (state := directory_state(self.output_dir)) is None:
            return
        notes = [note for note in outcome.notes if not note.startswith("batch size:")]  # of that run's computing
        told = replace(outcome, computed=0, seconds=0.0, reused=outcome.reused + outcome.computed, notes=notes)
        ended = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        from seewhy.store.sound_shards import sound_shards

        try:
            shards = sound_shards(self.output_dir)  # after their state was noted: no change falls in between
            keep_receipt(self.output_dir, Receipt(self.request, self.data, state, ended, told.to_json()), shards)
        except (StoreError, OSError):
            return  # the run is whole without it


def standing_of(config: Mapping[str, Any]) -> Standing | None:
    """What the composed ``config`` depends on; None where that cannot be told without the model or the data set.

    It cannot for code of the user's own, for addresses, and for files that are not there: the run then says so. Part of
    a run, or one that is to be measured, is left to the run as well.
    """
    asked = {key: value for key, value in config.items() if key not in WITHOUT_EFFECT}
    model, data, output_dir = config.get("model"), config.get("data"), config.get("output_dir")
    if not isinstance(model, Mapping) or not isinstance(data, Mapping) or not isinstance(output_dir, str):
        return None
    if model.get("kind") not in LIBRARY_MODELS or "://" in output_dir or any(_cannot_tell(asked)):
        return None
    if any(config.get(key) for key in ALWAYS_DONE):
        return None
    try:
        files = data_state(data)
        return None if files is None else Standing(
            output_dir=Path(output_dir),
            request=_request(asked, data),
            data=files.digest,
            files=files.count,
            report=bool(config.get("generate_report", True)),
            retries=bool(config.get("retry_failed", False)),
            recheck=bool(config.get("recheck", False)),
        )  # fmt: skip
    except (OSError, ValueError, TypeError, StoreError):
        return None


def show_unchanged(console: Console, standing: Standing, receipt: Receipt) -> int:
    """Say that nothing is to be done, and what the run holds; the exit code of the command that made it."""
    outcome = Outcome.from_json(receipt.told)
    console.print(
        f"nothing has changed since {receipt.ended}: settings, versions, checkpoint, {standing.files} files of data "
        "and the run directory are as they were (recheck=true looks into every file)",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    show_outcome(console, outcome, standing.output_dir)
    return int(outcome.failed > 0)


def _request(asked: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    checkpoint, code = FileState(), FileState()
    checkpoint.file(Path(str(asked.get("ckpt_path"))), "checkpoint")
    code.tree(Path(seewhy.__file__).parent, without=("__pycache__",))
    kept = {key: value for key, value in data.items() if key not in WITHOUT_EFFECT}
    about: dict[str, Json] = {
        "settings": {**asked, "data": kept},
        "versions": {package: _version(package) for package in PACKAGES},
        "python": platform.python_version(),
        "code": code.digest,
        "checkpoint": checkpoint.digest,
    }
    return digest(about)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _cannot_tell(value: object) -> Iterator[bool]:
    """True for each place in a configuration that leads to code of the user's own or to another machine."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield key == "_target_"
            yield from _cannot_tell(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _cannot_tell(item)
    else:
        yield isinstance(value, str) and "://" in value
