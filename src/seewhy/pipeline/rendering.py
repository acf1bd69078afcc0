"""Pictures of records that were explained before, from their stored answers: the model is not asked."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from seewhy.data.batching import reason_of
from seewhy.pipeline.about import ABOUT, CROWDED, DRAWINGS
from seewhy.pipeline.drawings import Classes, Drawing, MapsDrawing, drawable, from_json
from seewhy.pipeline.lacking import Lacking, Present
from seewhy.pipeline.map_volume import can_write_volumes
from seewhy.pipeline.picture_shelf import Keep, Shelf
from seewhy.pipeline.pictures import Brush, Shown, WriteFile
from seewhy.pipeline.rendering_ground import Ground, Grounds
from seewhy.render.errors import RenderError
from seewhy.store.names import SafeNames
from seewhy.store.run_reader import RunReader
from seewhy.values import Answer, Artifact, RecordRow, StoreError

MOST_WAITING: Final = 32
"""Records whose pictures may wait to be drawn."""


@dataclass(frozen=True)
class Drawable:
    """What a run says of its pictures beside its answers."""

    drawings: tuple[Drawing, ...]
    names: SafeNames
    class_names: tuple[str, ...] | None
    labels_match: bool

    @classmethod
    def of(cls, root: Path) -> Drawable:
        """As ``about.json`` tells.

        Raises:
            RenderError: ``SW-R71``, it is not there or tells nothing of pictures.
        """
        with suppress(OSError, ValueError, KeyError, TypeError):
            said = json.loads((root / ABOUT).read_text("utf-8"))
            names = said["class_names"]
            return cls(
                from_json(said[DRAWINGS]),
                SafeNames.crowded_by(said[CROWDED]),
                None if names is None else tuple(names),
                bool(said["labels_match"]),
            )
        raise RenderError(
            "SW-R71",
            f"{root / ABOUT} does not say how pictures are drawn: an earlier version made it, or it is damaged",
            fix="run the same generate_artifacts command again: it computes nothing and tells that",
        )


@dataclass(frozen=True)
class Wish:
    """Which pictures are to be drawn: of which splits, of at most ``limit`` records that ``chosen`` tells, of which
    classes; None stands for all."""

    splits: Collection[str] | None = None
    chosen: Callable[[str], bool] = lambda _: True
    limit: int | None = None
    classes: frozenset[int] | None = None

    def narrowed(self, drawings: Sequence[Drawing]) -> tuple[Drawing, ...]:
        """Without sheets, which show no class, where classes are chosen."""
        return tuple(one for one in drawings if self.classes is None or isinstance(one, MapsDrawing))

    def asked(self, classes: Classes) -> Classes:
        """Without the classes that are not chosen."""
        if self.classes is None:
            return classes
        kept = {key: [one for one in asked if one in self.classes] for key, asked in classes.items()}
        return {key: asked for key, asked in kept.items() if asked}

    def answers(self, answers: Mapping[str, Answer]) -> dict[str, Answer]:
        """Without the classes that are not chosen."""
        if self.classes is None:
            return dict(answers)
        return {key: kept for key, answer in answers.items() if (kept := self._only(answer)) is not None}

    def _only(self, answer: Answer) -> Answer | None:
        kept = [at for at, one in enumerate(answer.classes) if self.classes is not None and one in self.classes]
        return Answer(answer.values[kept], tuple(answer.classes[at] for at in kept)) if kept else None


@dataclass
class Rendered:
    """What was drawn: of how many records how many pictures, and of which records none, with the reason."""

    records: int = 0
    pictures: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    stopped: bool = False


@dataclass(frozen=True)
class _Drawn:
    """A record's pictures on their way."""

    at: int
    record_id: str
    files: Future[tuple[Artifact, ...]]


@dataclass
class Rendering:
    """Draws what a run lacks; ``write`` is called by several threads, ``keep`` by one."""

    reader: RunReader
    drawable: Drawable
    grounds: Grounds
    write: WriteFile
    keep: Keep
    threads: int = 2

    def draw(
        self, wish: Wish, stop: Callable[[], bool] = lambda: False, advanced: Callable[[int], None] = lambda _: None
    ) -> Rendered:
        """Draw the pictures that are wished for and not there. A record that cannot be drawn keeps no other from it.

        Raises:
            StoreError: ``SW-S01`` to ``SW-S03`` from the disk; what was drawn is listed and stays.
        """
        done = Rendered()
        with ThreadPoolExecutor(self.threads, thread_name_prefix="seewhy-picture") as threads:
            for split in self.reader.splits:
                if wish.splits is None or split in wish.splits:
                    self._split(split, wish, threads, done, stop, advanced)
        return done

    def _split(
        self,
        split: str,
        wish: Wish,
        threads: ThreadPoolExecutor,
        done: Rendered,
        stop: Callable[[], bool],
        advanced: Callable[[int], None],
    ) -> None:
        lacking = self.lacking(split, wish)
        if not lacking:
            return
        keys = {key for drawing in self.drawable.drawings for key in drawing.keys}
        shelf: Shelf | None = None
        waiting: deque[_Drawn] = deque()
        try:
            previews = self.grounds.over == "preview"
            for shard, at, row in self.reader.placed_rows(split, keys, previews=previews, records=lacking.keys()):
                if stop() or (
                    wish.limit is not None and done.records + len(done.failures) + len(waiting) >= wish.limit
                ):
                    done.stopped = stop()
                    break
                if shelf is None or shelf.shard != shard:
                    self._finish(waiting, shelf, done, advanced)
                    shelf = Shelf(self.reader, shard, self.keep)
                self._begin(row, at, wish, lacking[row.record_id], threads, waiting, done)
                while len(waiting) > MOST_WAITING:
                    self._take(waiting.popleft(), shelf, done, advanced)
        finally:
            self._finish(waiting, shelf, done, advanced)

    def lacking(self, split: str, wish: Wish) -> Lacking:
        """The records of a split that lack a picture which is wished for."""
        drawings = wish.narrowed(self.drawable.drawings)
        of_data = self.grounds.over == "data"
        present = Present(self.reader.root, anew=of_data, volumes=of_data and can_write_volumes())
        found: dict[str, frozenset[str]] = {}
        for record_id, known, files in self.reader.listed(split):
            if wish.chosen(record_id):
                name, asked = self.drawable.names[record_id], wish.asked(known.questions)
                if (kept := present.kept(drawings, name, asked, files)) is not None:
                    found[record_id] = kept
        return found

    def _begin(
        self,
        row: RecordRow,
        at: int,
        wish: Wish,
        kept: frozenset[str],
        threads: ThreadPoolExecutor,
        waiting: deque[_Drawn],
        done: Rendered,
    ) -> None:
        try:
            ground = self.grounds.of(row)
        except Exception as error:  # noqa: BLE001  the record boundary: one that cannot be read is told of
            done.failures.append((row.record_id, reason_of(error)))
            return
        waiting.append(_Drawn(at, row.record_id, threads.submit(self._draw, row, ground, wish, kept)))

    def _draw(self, row: RecordRow, ground: Ground, wish: Wish, kept: frozenset[str]) -> tuple[Artifact, ...]:
        views, space = ground
        shown = Shown(
            record_id=row.record_id,
            file_name=self.drawable.names[row.record_id],
            inputs={},
            label=row.label if self.drawable.labels_match else None,
            predicted=row.predicted,
            probabilities=row.probabilities,
            geometry=row.geometry,
            space=space,
            remark=self.grounds.remark,
        )
        answers = wish.answers(row.answers)
        drawings = drawable(wish.narrowed(self.drawable.drawings), {key: one.classes for key, one in answers.items()})
        drawn = Brush(self.drawable.class_names, can_write_volumes()).draw(views(), shown, drawings, answers)
        return tuple(
            self.write(path, data, kind=kind, record_id=row.record_id) for path, data, kind in drawn if path not in kept
        )

    def _finish(
        self, waiting: deque[_Drawn], shelf: Shelf | None, done: Rendered, advanced: Callable[[int], None]
    ) -> None:
        if shelf is None:
            return
        try:
            while waiting:
                self._take(waiting.popleft(), shelf, done, advanced)
        finally:
            shelf.save()

    def _take(self, drawn: _Drawn, shelf: Shelf, done: Rendered, advanced: Callable[[int], None]) -> None:
        try:
            files = drawn.files.result()
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001  the record boundary: one that cannot be drawn is told of
            done.failures.append((drawn.record_id, reason_of(error)))
            return
        shelf.add(drawn.at, self.grounds.over, files)
        done.records += 1
        done.pictures += len(files)
        advanced(1)
