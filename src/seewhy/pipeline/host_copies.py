"""What a batch left behind on the device, on its way to the host: many copies, one wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

Coming = Callable[[], NDArray[Any]]
"""An array that is on its way; asking for it waits until it is there."""


class HostCopies:
    """Copies to the host that are begun together and waited for once, when the first of them is asked for.

    On CUDA a copy goes to page-locked memory behind the work that makes its values, and the host goes on meanwhile.
    Anywhere else the values are there at once. Floating-point values of any precision arrive in float32.

    Example:
        >>> copies = HostCopies(torch.device("cpu"))
        >>> coming = copies.take(torch.tensor([1.0, 2.0], dtype=torch.bfloat16))
        >>> copies.sent()
        >>> coming()
        array([1., 2.], dtype=float32)
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._asynchronous = device.type == "cuda"
        self._there = not self._asynchronous
        self._mark: torch.cuda.Event | None = None

    def take(self, tensor: Tensor) -> Coming:
        """Begin to copy a tensor; to be asked for once all copies are :meth:`sent`."""
        values = tensor.float() if tensor.is_floating_point() else tensor
        there = values.to("cpu", non_blocking=self._asynchronous)

        def array() -> NDArray[Any]:
            self._wait()
            found: NDArray[Any] = there.numpy()
            return found

        return array

    def sent(self) -> None:
        """No more copies come: what is waited for is the work up to here, not what the device is asked for later."""
        if self._asynchronous:
            self._mark = mark_on(self._device)

    def _wait(self) -> None:
        if not self._there:
            (self._mark or mark_on(self._device)).synchronize()
            self._there = True


def mark_on(device: torch.device) -> torch.cuda.Event:
    """An event behind all that a CUDA device was asked for so far."""
    event: torch.cuda.Event = torch.cuda.Event()  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(device))
    return event
