"""Many images explained together: a pass for each chunk, reading and preparing beside it if wanted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, Final

from torch import nn

from seewhy.explain.ahead import ahead
from seewhy.explain.batch_error import BatchError, failed_image
from seewhy.explain.batch_work import BatchWork, told_once
from seewhy.explain.class_choice import class_list
from seewhy.explain.explained import Explained
from seewhy.explain.explainer import Explainer, Heat, require_batch_size
from seewhy.explain.learnt_transform import LearntTransform
from seewhy.explain.prepared import Prepared, each_image, stem_of
from seewhy.explain.warning import warn_caller
from seewhy.models.borrow import unwrapped
from seewhy.ops import chunks
from seewhy.profiling import SILENT, PerformanceProfiler
from seewhy.values import SeewhyError

ON_ERROR: Final = ("raise", "skip")


class BatchProcessor:
    """Explains many images of one model, in chunks, and says how far it is.

    The maps are those of ``explainer.explain``, one image after the other, but for rounding. May be asked from several
    threads: they take turns at the model.

    Args:
        model: the model that ``explainer`` explains.
        explainer: made once for the model, for example ``seewhy.GradCAM(model)``.
        batch_size: images prepared and asked together; on a CPU they go through the model four at a time, which is
            faster. Where memory does not suffice, halves are asked, down to one.
        use_cuda: accepted for compatibility: the model is asked where it is.
        show_progress: a bar on standard error, where that is a terminal.
        on_error: ``raise`` ends at the first image that cannot be explained; the error tells its position and holds the
            answers before it. ``skip`` leaves None in its place and names it in a warning.
        profiler: times ``prepare``, ``explain`` and ``enlarge``.

    Raises:
        BatchError: ``SW-O01`` an explainer that is none, ``SW-O02`` one of another model, ``SW-O03`` no such
            ``on_error``, ``SW-O08`` a profiler that is none.
        ConfigError: ``SW-F75``, a batch size that is none.

    Example:
        >>> import numpy as np, seewhy
        >>> from seewhy.demo.models import load
        >>> model = load("cnn")
        >>> digits = seewhy.ClutteredDigits(counts={"test": 5})
        >>> pictures = [digits.read(position).inputs["image"] for position in range(5)]
        >>> processor = seewhy.BatchProcessor(model, seewhy.GradCAM(model), batch_size=4)
        >>> maps = processor.process_batch(pictures)
        >>> len(maps), bool(np.allclose(maps[4], processor.explainer.explain(pictures[4]), atol=1e-4))
        (5, True)
    """

    def __init__(
        self,
        model: nn.Module,
        explainer: Explainer,
        batch_size: int = 16,
        use_cuda: bool = True,
        show_progress: bool = True,
        *,
        on_error: str = "raise",
        profiler: PerformanceProfiler = SILENT,
    ) -> None:
        del use_cuda
        _require_explainer(model, explainer)
        require_batch_size(batch_size)
        if on_error not in ON_ERROR:
            raise BatchError(
                "SW-O03",
                f"on_error must be 'raise' or 'skip', got {on_error!r}",
                fix='on_error="raise" ends at the first image that fails, on_error="skip" leaves None in its place',
            )
        if not isinstance(profiler, PerformanceProfiler):
            raise BatchError(
                "SW-O08",
                f"profiler must be a seewhy.PerformanceProfiler, got {type(profiler).__name__}",
                fix="write profiler=seewhy.PerformanceProfiler(), or leave it out",
            )
        self.model, self.explainer, self.batch_size = model, explainer, batch_size
        self.show_progress, self.on_error, self.profiler = show_progress, on_error, profiler

    def process_batch(
        self, images: Any, target_classes: Any = None, normalize: bool = True, **settings: Any
    ) -> list[Heat | None]:
        """A heat map ``(H, W)`` float32 in [0, 1] for each image, in their order.

        Args:
            images: a list of paths, PIL images, arrays or prepared tensors, in any mixture and of any size; or one
                batch ``(B, C, H, W)``. One image alone counts as a list of one.
            target_classes: one class for all, or one for each; the predicted ones if None.
            normalize: False gives raw maps with sign and unit.
            settings: of the method, for this call.

        Raises:
            BatchError: ``SW-O05``, an image that cannot be explained; of ``skip``, where none can.
            DataError: ``SW-D45``, what is no list of images; ``SW-D53``, an empty one.
            ConfigError, TargetError: settings and names of classes that do not exist, before any image is read.
        """
        work = self._work(images, target_classes, settings)
        return self._run(work, map(work.prepare, range(len(work.images))), normalize)

    def process_batch_parallel(
        self,
        images: Any,
        target_classes: Any = None,
        num_workers: int = 4,
        normalize: bool = True,
        **settings: Any,
    ) -> list[Heat | None]:
        """As :meth:`process_batch`, reading and preparing the next images in threads while the model is asked.

        The model is asked by the calling thread alone. At most ``batch_size + num_workers`` images are held ahead. A
        preprocessing given as a function is called by one thread at a time.

        Args:
            images, target_classes, normalize, settings: as in :meth:`process_batch`.
            num_workers: threads that prepare.

        Raises:
            BatchError: as :meth:`process_batch`, and ``SW-O06``, a number of threads that is none.
        """
        if type(num_workers) is not int or num_workers < 1:
            raise BatchError(
                "SW-O06", f"num_workers must be a whole number from 1 on, got {num_workers!r}", fix="set num_workers=4"
            )
        work = self._work(images, target_classes, settings)
        threads = 1 if isinstance(work.recipe.how, LearntTransform) else num_workers
        with closing(ahead(work.prepare, len(work.images), threads, self.batch_size + num_workers)) as prepared:
            return self._run(work, prepared, normalize)

    def _work(self, images: Any, target_classes: Any, settings: dict[str, Any]) -> BatchWork:
        images, explainer = each_image(images), self.explainer
        asked = explainer.asked(settings)
        classes = class_list(target_classes, len(images), explainer.class_names)
        recipe, keeps_going = told_once(explainer.recipe, images), self.on_error == "skip"
        return BatchWork(explainer, asked, images, classes, recipe, explainer.study.dtype, keeps_going, self.profiler)

    def _run(self, work: BatchWork, prepared: Iterator[Prepared | SeewhyError], normalize: bool) -> list[Heat | None]:
        results: list[Heat | None] = []
        failed: list[BatchError] = []
        nothing: dict[int, str] = {}
        total = len(work.images)
        with _progress(total, self.show_progress) as advance:
            for few in chunks(total, self.batch_size):
                for answer in work.answers(few, [next(prepared) for _ in few]):
                    shown = self._shown(answer, normalize)
                    if isinstance(answer, Explained) and answer.nothing is not None:
                        nothing[len(results)] = answer.nothing
                    if isinstance(shown, SeewhyError):
                        before = () if work.keeps_going else tuple(results)
                        name = _name(work.images[len(results)])
                        failed.append(failed_image(len(results), name, shown, before))
                        if not work.keeps_going:
                            raise failed[-1] from shown
                    results.append(None if isinstance(shown, SeewhyError) else shown)
                advance(len(few))
        _tell(failed, total)
        _tell_of_nothing(nothing, total)
        return results

    def _shown(self, answer: Explained | SeewhyError, normalize: bool) -> Heat | SeewhyError:
        if isinstance(answer, SeewhyError):
            return answer
        with self.profiler.profile("enlarge", device=False):
            try:
                return answer.heat if normalize else answer.signed
            except SeewhyError as error:
                return error


def _tell(failed: list[BatchError], total: int) -> None:
    """One warning for all images left out; where nothing is left, the first one's error."""
    if not failed:
        return
    if len(failed) == total:
        raise failed[0] from failed[0].reason
    first = failed[0].message
    warn_caller(f"{len(failed)} of {total} images are None, at {[error.position for error in failed]}; {first}")


def _tell_of_nothing(nothing: dict[int, str], total: int) -> None:
    """One warning for all images whose map is zero."""
    if nothing:
        first = next(iter(nothing))
        warn_caller(f"{len(nothing)} of {total} maps are zero, at {list(nothing)}; image {first}: {nothing[first]}")


def _name(image: Any) -> str:
    try:
        return stem_of(image)
    except Exception:  # noqa: BLE001  a path's own code; what it raised is told already
        return ""


def _require_explainer(model: object, explainer: object) -> None:
    if not isinstance(explainer, Explainer):
        raise BatchError(
            "SW-O01",
            f"an explainer of seewhy is expected, got {type(explainer).__name__}",
            fix="make one for the model: seewhy.GradCAM(model)",
        )
    if not isinstance(model, nn.Module):
        raise BatchError(
            "SW-O02",
            f"the model that the explainer explains is expected, a torch.nn.Module, got {type(model).__name__}",
            fix="write BatchProcessor(explainer.model, explainer)",
        )
    if unwrapped(model) is not explainer.study.bare:
        raise BatchError(
            "SW-O02",
            f"the very model that the explainer explains is expected ({type(explainer.study.bare).__name__}), got "
            f"another object ({type(unwrapped(model)).__name__})",
            fix="write BatchProcessor(explainer.model, explainer), or make an explainer for the model you gave",
        )


def _unseen(images: int) -> None:
    """Nobody watches."""
    del images


@contextmanager
def _progress(total: int, wanted: bool) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, where that is a terminal; else nothing."""
    if not wanted or not sys.stderr.isatty():
        yield _unseen
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("explaining", total=total)
        yield partial(bar.advance, task)
