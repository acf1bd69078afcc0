"""What stopped a batch: which image, why, and the answers there were before it."""

from __future__ import annotations

from typing import Any

from seewhy.values import SeewhyError


class BatchError(SeewhyError):
    """An explainer and images that do not go together, or one image that could not be explained. Codes ``SW-O..``.

    Attributes:
        position: the image's place in what was given; None where no single image is to blame.
        reason: what it raised.
        results: the answers for all images before it.
    """

    position: int | None = None
    reason: Exception | None = None
    results: tuple[Any, ...] = ()


def failed_image(position: int, name: str, reason: SeewhyError, results: tuple[Any, ...]) -> BatchError:
    """The error for one image of many; ``name`` is its file's, where it has one.

    Example:
        >>> print(failed_image(3, "cat", SeewhyError("SW-D46", "damaged", fix="copy it anew"), ()))
        [SW-O05] image 3 (cat) could not be explained: damaged [SW-D46]
          fix: copy it anew; the error's .results holds the answers before it; on_error="skip" goes on without it
    """
    known = f" ({name})" if name else ""
    error = BatchError(
        "SW-O05",
        f"image {position}{known} could not be explained: {reason.message} [{reason.code}]",
        fix=f'{reason.fix}; the error\'s .results holds the answers before it; on_error="skip" goes on without it',
        near=reason.near,
    )
    error.position, error.reason, error.results = position, reason, results
    return error
