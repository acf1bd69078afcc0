"""Explanations kept on disk: what a model was asked once, it is not asked again until something has changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from numpy.typing import NDArray
from torch import Tensor

from seewhy.explain.cache_arguments import asked_by_hand, folder_named, require_folder, require_numbers, require_size
from seewhy.explain.cache_counts import Counts
from seewhy.explain.cache_entry import packed_array, unpacked_array
from seewhy.explain.cache_shelf import ANSWER, Shelf, explanation_of
from seewhy.explain.cache_store import Store
from seewhy.explain.prepared import ImageLike

if TYPE_CHECKING:
    from seewhy.explain.explainer import Explainer

MEGABYTE: Final = 1 << 20
GIVEN: Final = "given"
"""The kind of entries that were put by hand."""
Array = NDArray[Any]


class ExplanationCache:
    """Explanations on disk, for ``GradCAM(model, cache=cache)`` and every other explainer, and for your own code.

    An explainer with a cache looks there first, gives what it finds bit for bit as it was computed, asks the model only
    about the other images of a batch, and keeps what it computes. The key holds everything that decides an answer: the
    weights, which part is which, the values and the code of the model's modules, the method with all its settings and
    seeds, layer, class, preprocessing, output selector, precision, automatic precision, the kind of device, the
    versions of seewhy, torch and the packages that methods compute through, and the whole image. Batch size, threads,
    memory format and compilation change no more than the last digits, and are left out: an answer keeps the digits of
    the call that computed it.

    The weights' SHA-256 is computed once per model. At every use each tensor's address, type, shape, strides and
    version and 2040 sums over its values are compared, which sees writes through ``.data`` and through shared memory
    as well. Not seen: such a write that leaves all sums as they are, as an exchange of two 8-byte words does that lie a
    multiple of 1 040 399 words apart in one tensor, or a multiple of 1021 where they differ in their lowest 24 bits
    alone; one that is taken back while the model is asked; a change in an installed package that keeps its version,
    other than to a method of a module's class; in your own code, what ``forward`` reads by other ways than names,
    or draws at random; a value that the model itself wrote while it was asked, such as a count of calls. A model with
    hooks or a ``forward`` put on the object, one that holds or reads what cannot be looked into, a mode of torch that
    sees every operation, a method of your own, and a function among the settings cannot be compared: such calls pass
    the cache by, and ``stats()`` says how many and why.

    Several threads and processes may share a folder, on a local disk. A process that is killed leaves it usable, a
    damaged entry or file is warned of and computed again, a full disk is warned of once. Files are for their owner
    alone: explanations of patients are data of patients. Nothing in them is ever executed.

    Args:
        cache_dir: the folder, created if needed.
        max_size_mb: mebibytes (1 048 576 bytes) of entries; beyond it those used longest ago go.
        enabled: False keeps nothing, finds nothing and touches no disk.

    Raises:
        CacheError: ``SW-K01`` the folder is a file, ``SW-K02`` it cannot be created or written to, ``SW-K03`` a size
            that is none, ``SW-K07`` what is no path.

    Example:
        >>> import tempfile, timm, torch
        >>> from seewhy import GradCAM
        >>> folder = tempfile.TemporaryDirectory()
        >>> cache = ExplanationCache(folder.name)
        >>> explainer = GradCAM(timm.create_model("test_resnet", num_classes=5), cache=cache)
        >>> image = torch.randn(3, 64, 64)
        >>> bool((explainer.explain(image) == explainer.explain(image)).all())
        True
        >>> cache.stats()["hits"], cache.stats()["misses"], cache.stats()["num_entries"]
        (1, 1, 1)
        >>> cache.close(); folder.cleanup()
    """

    def __init__(
        self,
        cache_dir: str | os.PathLike[str] = "./explanation_cache",
        max_size_mb: float = 1000,
        enabled: bool = True,
    ) -> None:
        self.cache_dir = folder_named(cache_dir)
        self.max_size_mb, self.enabled = require_size(max_size_mb), bool(enabled)
        self._counts = Counts()
        self._store: Store | None = None
        if self.enabled:
            require_folder(self.cache_dir)
            self._store = Store(self.cache_dir.absolute(), int(self.max_size_mb * MEGABYTE))
            self._store.make_room()
        self.shelf = Shelf(self._store, self._counts)

    def get(self, image: ImageLike, method: str | Explainer, target_class: Any = None, **others: Any) -> Array | None:
        """The explanation of an image, or None: what :meth:`put` was given, else the heat map an explainer kept.

        Args:
            image: as in :meth:`seewhy.Explainer.explain`.
            method: an explainer, or a method's name with ``model=``.
            target_class: the class asked about; None is the predicted one.
            others: ``model``, ``target_layer`` and all that :func:`seewhy.explain_prediction` takes of a model and a
                method, where ``method`` is a name; the method's settings in either case.

        Raises:
            CacheError: ``SW-K04``, a name without a model: an explanation without its model is stale at the first
                change of a weight.
        """
        if self._store is None:
            return None
        explainer, asked, prepared, classes = asked_by_hand(image, method, target_class, others)
        asking = self.shelf.asking(explainer, asked, prepared, classes)
        if asking is None:
            return None
        (given,), (kept,) = asking.keys(GIVEN), asking.keys(ANSWER)
        stored = self._store.get([given]) or self._store.get([kept])
        self._counts.looked(hits=len(stored), misses=1 - len(stored))
        if given in stored:
            return unpacked_array(stored[given])
        if kept not in stored:
            return None
        return explanation_of(explainer, asked, stored[kept], prepared[0], asking.before.device).heat

    def put(
        self,
        image: ImageLike,
        method: str | Explainer,
        explanation: Array | Tensor,
        target_class: Any = None,
        **others: Any,
    ) -> None:
        """Keep an explanation: an array or tensor of numbers of any shape. Arguments as in :meth:`get`.

        Raises:
            CacheError: ``SW-K04`` a name without a model, ``SW-K05`` what is no array of numbers.
        """
        values = require_numbers(explanation)
        if self._store is None:
            return
        asking = self.shelf.asking(*asked_by_hand(image, method, target_class, others))
        if asking is not None:
            self._counts.kept(self._store.put({asking.keys(GIVEN)[0]: packed_array(values)}))

    def clear(self) -> None:
        """Drop every explanation of the folder, also what other processes kept and damaged files put aside.

        Raises:
            CacheError: ``SW-K08``, where neither the entries nor the file can be deleted.
        """
        if self._store is not None:
            self._store.clear()

    def stats(self) -> dict[str, Any]:
        """What is kept, and what this object did since it was made.

        ``enabled``, ``num_entries``, ``total_size_mb``, ``max_size_mb``, ``utilization`` (the share of the size in
        use), ``hits``, ``misses``, ``hit_rate`` (None before the first use), ``stored``, ``passed_by`` (images
        explained without the cache) with the ``reasons`` and how often each, ``damaged`` (what had to be dropped).
        """
        entries, size = self._store.totals() if self._store is not None else (0, 0)
        return {
            "enabled": self.enabled,
            "num_entries": entries,
            "total_size_mb": size / MEGABYTE,
            "max_size_mb": self.max_size_mb,
            "utilization": size / (self.max_size_mb * MEGABYTE),
            **self._counts.told(),
            "damaged": self._store.damaged if self._store is not None else 0,
        }

    def close(self) -> None:
        """Let the file go; the cache opens it again when it is used."""
        if self._store is not None:
            self._store.close()

    def __enter__(self) -> ExplanationCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the folder for itself, and counts for itself."""
        return type(self), (str(self.cache_dir.absolute()), self.max_size_mb, self.enabled)

    def __repr__(self) -> str:
        return f"ExplanationCache({str(self.cache_dir)!r}, max_size_mb={self.max_size_mb:g}, enabled={self.enabled})"
