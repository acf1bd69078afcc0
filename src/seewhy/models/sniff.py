"""What a file is, told from its content: every file that is no checkpoint gets its own message."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal

from seewhy.values import CheckpointError, nearest

Format = Literal["torch-zip", "torch-legacy", "pickle", "safetensors"]

_HEAD_BYTES = 512
_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_SAFETENSORS_HEADER_LIMIT = 100_000_000
_OTHER_FORMATS = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras keeps weights so)"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"BZh", "a bzip2 archive; unpack it first"),
    (b"\xfd7zXZ\x00", "an xz archive; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-zip archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"GGUF", "a GGUF language model"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF", "a PDF document"),
    (b"PAR1", "a Parquet table"),
)


def sniff(path: Path) -> Format:
    """The format of a checkpoint file, judged by its bytes and never by its suffix.

    Raises:
        CheckpointError: ``SW-C01`` to ``SW-C09``, ``SW-C16`` or ``SW-C19``, saying what the file is instead.
    """
    head = _head(path)
    if head.startswith(b"PK\x03\x04"):
        _check_archive(path)
        return "torch-zip"
    if head.startswith(_LEGACY_TORCH):
        return "torch-legacy"
    if _is_safetensors(head):
        return "safetensors"
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return "pickle"
    raise _not_a_checkpoint(path, head)


def _head(path: Path) -> bytes:
    if path.is_dir():
        raise CheckpointError(
            "SW-C02",
            f"{path} is a folder; a checkpoint is one file",
            fix="name the file inside it",
            near=sorted(entry.name for entry in path.iterdir() if entry.is_file())[:5],
        )
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except FileNotFoundError:
        raise _missing(path) from None
    except (OSError, ValueError) as error:
        raise CheckpointError("SW-C16", f"{path} cannot be read: {error}", fix="check its permissions") from error
    if not head:
        raise CheckpointError("SW-C03", f"{path} is empty (0 bytes)", fix="copy or download it again")
    return head


def _missing(path: Path) -> CheckpointError:
    folder = path.parent
    if not folder.is_dir():
        return CheckpointError(
            "SW-C01", f"no checkpoint at {path}: the folder {folder} does not exist", fix="give the full path"
        )
    names = [entry.name for entry in folder.iterdir() if entry.is_file()]
    fix = "use one of the near names, or the full path" if names else f"{folder} holds no files; give the full path"
    return CheckpointError("SW-C01", f"no checkpoint at {path}", fix=fix, near=nearest(path.name, names))


def _is_safetensors(head: bytes) -> bool:
    length = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and 2 <= length <= _SAFETENSORS_HEADER_LIMIT


def _check_archive(path: Path) -> None:
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise CheckpointError(
            "SW-C06",
            f"{path} is cut off: it begins as a torch checkpoint, but the index at the end of the file is missing "
            f"(size here: {size} bytes; {error})",
            fix="compare the size with the original and copy it again",
        ) from error
    names = {member.filename.partition("/")[2] for member in members}
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        raise CheckpointError(
            "SW-C09",
            f"{path} is a TorchScript archive: it holds a program, which seewhy does not run",
            fix="save the weights instead: torch.save(model.state_dict(), 'weights.pt')",
        )
    if "archive_format" in names or "models/model.json" in names:
        raise CheckpointError(
            "SW-C09",
            f"{path} is an exported program (torch.export), which seewhy does not run",
            fix="save the weights instead: torch.save(model.state_dict(), 'weights.pt')",
        )
    if "data.pkl" not in names:
        shown = ", ".join(member.filename for member in members[:5]) or "nothing"
        raise CheckpointError(
            "SW-C08",
            f"{path} is a zip archive but no torch checkpoint: it holds {shown}",
            fix="give the file that torch.save or Lightning wrote",
        )
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise CheckpointError(
            "SW-C08",
            f"{path} was compressed after torch wrote it, so it cannot be mapped into memory",
            fix="use the file as torch wrote it",
        )


def _not_a_checkpoint(path: Path, head: bytes) -> CheckpointError:
    text = head.decode("utf-8", "replace").lstrip("\ufeff \r\n\t")
    if text.startswith("version https://git-lfs"):
        return CheckpointError(
            "SW-C04",
            f"{path} is a Git LFS pointer: a note of {path.stat().st_size} bytes that says where the weights are",
            fix=f"fetch the file itself: git lfs pull --include '{path.name}'",
        )
    if text[:200].lower().startswith(("<!doctype html", "<html", "<?xml", "<head")):
        return CheckpointError(
            "SW-C05",
            f"{path} is a web page, not a checkpoint; it begins {text[:60]!r}",
            fix="the link led to a page (login, 404 or a preview); download the file itself",
        )
    if path.name.endswith(".index.json"):
        return CheckpointError(
            "SW-C19",
            f"{path} is the index of a checkpoint that is split into several files, which is not read",
            fix="join the parts: load each with safetensors.torch.load_file, merge the dicts, save one .safetensors",
        )
    for magic, meaning in _OTHER_FORMATS:
        if head.startswith(magic):
            return CheckpointError("SW-C07", f"{path} is {meaning}, not a checkpoint", fix=_EXPECTED)
    kind = "text" if _mostly_text(head) else "of an unknown format"
    return CheckpointError("SW-C07", f"{path} is {kind}, not a checkpoint; it begins {head[:40]!r}", fix=_EXPECTED)


_EXPECTED = "give a Lightning .ckpt, a state dict written by torch.save, or a .safetensors file"


def _mostly_text(head: bytes) -> bool:
    readable = sum(32 <= byte < 127 or byte in b"\r\n\t" for byte in head)
    return readable > 0.9 * len(head)
