"""Plain pickles of other tools: read for their tensors and plain values, with nothing run and nothing imported."""

from __future__ import annotations

import mmap
import struct
import warnings
from os import PathLike
from pathlib import Path
from typing import Any

from seewhy.models.pickle_machine import AsksForCodeError, PickleMachine, TooMuchError
from seewhy.models.pickle_values import Budget, settled
from seewhy.models.sniff import sniff
from seewhy.values import CheckpointError

# What damaged bytes raise while they are taken apart; NotPlainError is a ValueError.
_DAMAGE = (ValueError, LookupError, EOFError, OverflowError, MemoryError, RuntimeError, AssertionError, struct.error)


def read_foreign_pickle(path: str | PathLike[str]) -> Any:
    """The dicts, lists, texts, numbers and tensors of a file that ``pickle.dump`` wrote.

    NumPy arrays become tensors, NumPy scalars plain numbers and texts; tensors lie on the CPU. The pickle's opcodes are
    carried out by :class:`~seewhy.models.pickle_machine.PickleMachine`, which knows the few names that tensors and
    arrays need and refuses every other. Time and memory are bounded by the file's size.

    Raises:
        CheckpointError: ``SW-C01`` to ``SW-C09`` no such file, or of another kind; ``SW-C33`` it asks for code, which
            the message names; ``SW-C34`` damaged, or other than tensors and plain values; ``SW-C35`` too many values or
            too deeply nested.

    Example:
        >>> import pickle, tempfile, torch
        >>> path = tempfile.mkdtemp() + "/old.pkl"
        >>> with open(path, "wb") as file:
        ...     pickle.dump({"layer1": [torch.arange(3.0)], "timestep": 4}, file)
        >>> read_foreign_pickle(path)
        {'layer1': [tensor([0., 1., 2.])], 'timestep': 4}
    """
    file = Path(path)
    if (kind := sniff(file)) != "pickle":
        raise _unreadable(file, f"it is a file of the kind {kind}")
    try:
        with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as stream:
            return settled(_run(stream, len(stream)))
    except AsksForCodeError as error:
        raise CheckpointError(
            "SW-C33",
            f"{file} is refused: reading it would need code, which seewhy never takes from a file; it asks for {error}",
            fix="write the features anew with inspect_features, or save tensors and plain values only",
        ) from error
    except TooMuchError as error:
        raise CheckpointError(
            "SW-C35",
            f"{file} holds {error}, which no file of features of {file.stat().st_size} bytes needs",
            fix="give a file of features as it was written",
        ) from error
    except _DAMAGE as error:
        raise _unreadable(file, str(error) or type(error).__name__) from error


def _unreadable(file: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        "SW-C34",
        f"{file} is damaged or holds other than tensors and plain values: {reason:.200}",
        fix="copy it again; if it is whole, write the features anew with inspect_features",
    )


def _run(stream: Any, size: int) -> Any:
    with warnings.catch_warnings():  # Python deprecates escapes that a damaged text may hold
        warnings.simplefilter("ignore", DeprecationWarning)
        return PickleMachine(Budget(size).names).run(stream)
