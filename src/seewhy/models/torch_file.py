"""Reading what ``torch.save`` and Lightning wrote, without ever running anything the file asks for."""

from __future__ import annotations

import pickle
import re
import struct
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any

import torch

from seewhy.models.inert import only_placeholders_allowed, placeholders
from seewhy.models.pickle_scan import PickleScan, scan_pickle
from seewhy.models.sniff import Format
from seewhy.values import CheckpointError

# Before 2.10 even torch.load(weights_only=True) could be made to run code or corrupt memory
# (CVE-2025-32434, CVE-2026-24747).
SAFE_TORCH = (2, 10)

# What torch's restricted unpickler and its archive reader raise on damaged or hostile bytes.
_DAMAGE = (
    RuntimeError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    struct.error,
    MemoryError,
    OSError,
)
_LEGACY_PREAMBLE_PICKLES = 3
_PLAIN_CONTAINERS = {"collections.OrderedDict", "collections.Counter", "builtins.set"}
_TORCHS_OWN = re.compile(
    r"torch\.(\w+Storage|Size|Tensor|device|storage\.\w+|nn\.parameter\.Parameter|serialization\._get_layout"
    r"|_utils\._rebuild_\w+|_tensor\._rebuild_from_type_v2)"
)
_CONVERT = (
    "whoever made the file can save its weights alone: torch.save(model.state_dict(), 'weights.pt'), "
    "or torch.save({'state_dict': checkpoint['state_dict']}, 'weights.pt') for a Lightning file"
)


def check_torch_is_safe(version: str) -> None:
    """Refuse a torch whose restricted loading is known to be exploitable.

    Raises:
        CheckpointError: ``SW-C14``.
    """
    release = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if release < SAFE_TORCH:
        raise CheckpointError(
            "SW-C14",
            f"torch {version} cannot read untrusted .pt and .ckpt files safely (CVE-2025-32434, CVE-2026-24747)",
            fix="pip install 'torch>=2.10', or give the weights as .safetensors",
        )


def read_torch_file(path: Path, file_format: Format) -> Any:
    """Everything in a torch file: its tensors mapped from disk, foreign data replaced by stand-ins.

    Raises:
        CheckpointError: ``SW-C06`` damaged, ``SW-C10`` a whole pickled object, ``SW-C11`` asks for foreign globals,
            ``SW-C14`` torch too old, ``SW-C18`` an unsupported pickle protocol.
    """
    check_torch_is_safe(torch.__version__)
    try:
        scan = _scan(path, file_format)
    except _DAMAGE as error:
        raise _damaged(path, error) from error
    _check_globals(path, file_format, scan)
    with only_placeholders_allowed(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=file_format == "torch-zip")
        except _DAMAGE as error:
            raise _damaged(path, error) from error


def _scan(path: Path, file_format: Format) -> PickleScan:
    if file_format == "torch-zip":
        with zipfile.ZipFile(path) as archive:
            record = next(name for name in archive.namelist() if name.partition("/")[2] == "data.pkl")
            with archive.open(record) as member:
                return scan_pickle(member)
    with path.open("rb") as file:
        return _scan_last(file, 1 if file_format == "pickle" else _LEGACY_PREAMBLE_PICKLES + 1)


def _scan_last(file: IO[bytes], pickles: int) -> PickleScan:
    return [scan_pickle(file) for _ in range(pickles)][-1]


def _check_globals(path: Path, file_format: Format, scan: PickleScan) -> None:
    foreign = sorted(name for name in scan.globals if name not in placeholders() and not _torchs_own(name))
    if file_format == "pickle":
        asked = f"; it asks for {', '.join(foreign)}" if foreign else ""
        raise CheckpointError("SW-C11", f"{path} is a plain pickle, not a file of torch.save{asked}", fix=_CONVERT)
    if scan.root in foreign:
        raise CheckpointError(
            "SW-C10",
            f"{path} is a whole pickled {scan.root} object, not weights; opening it would run code "
            f"(it asks for {', '.join(foreign)})",
            fix=_CONVERT,
        )
    if foreign:
        raise CheckpointError(
            "SW-C11",
            f"{path} is refused: reading it would need code, which seewhy never takes from a file; "
            f"it asks for {', '.join(foreign)}",
            fix=_CONVERT,
        )


def _torchs_own(name: str) -> bool:
    """Whether torch's restricted reader knows a name by itself."""
    if name in _PLAIN_CONTAINERS or name in {"_codecs.encode", "builtins.bytearray", "builtins.complex"}:
        return True
    module, _, attribute = name.partition(".")
    constant = vars(torch).get(attribute) if module == "torch" else None
    return isinstance(constant, torch.dtype | torch.qscheme) or _TORCHS_OWN.fullmatch(name) is not None


def _damaged(path: Path, error: BaseException) -> CheckpointError:
    reason = str(error)
    if (asked := re.search(r"GLOBAL (\S+) was not an allowed|unsupported GLOBAL (\S+)", reason)) is not None:
        return CheckpointError("SW-C11", f"{path} is refused: it asks for {asked[1] or asked[2]}", fix=_CONVERT)
    if "Unsupported operand" in reason:
        return CheckpointError(
            "SW-C18",
            f"{path} was saved with a pickle protocol that torch's safe reader does not know",
            fix="save it again without pickle_protocol: torch.save(state_dict, 'weights.pt')",
        )
    first_line = next(iter(reason.splitlines()), "") or type(error).__name__
    return CheckpointError(
        "SW-C06",
        f"{path} is damaged: torch cannot read its content (size {path.stat().st_size} bytes; {first_line[:200]})",
        fix="compare the size with the original and copy it again",
    )
