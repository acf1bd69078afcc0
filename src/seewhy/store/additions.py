"""Files added to a run that exists already, such as a report or clusters, listed in its manifest."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

from seewhy.store.files import file_digest, replacing, write_atomic
from seewhy.store.holding import holding
from seewhy.store.layout import MANIFEST, inside, run_at
from seewhy.store.manifest import DerivedEntry, Manifest, read_manifest, render
from seewhy.store.remakable import write_remakable
from seewhy.values import Artifact, StoreError


class Additions:
    """A run held for adding files that are made from its rows; :func:`adding_to` makes one. Rows are never touched."""

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self.root = root
        self._manifest = manifest
        self._derived = dict(manifest.derived)

    @property
    def derived(self) -> dict[str, DerivedEntry]:
        """The files that are listed as derived, with those of this block."""
        return dict(self._derived)

    def write_file(self, relative: str, data: bytes, *, kind: str) -> Artifact:
        """Write a file below the run directory; equal bytes on disk are left untouched.

        Raises:
            StoreError: ``SW-S10`` the path leaves the directory, ``SW-S01`` to ``SW-S03`` from the disk.
        """
        return self._listed(write_remakable(self.root, relative, data, kind=kind))

    def write_with(self, relative: str, fill: Callable[[Path], None], *, kind: str) -> Artifact:
        """Write a file too large for memory: ``fill`` writes into the path it is given. Else as :meth:`write_file`."""
        path = inside(self.root, relative)
        with replacing(path, durable=False) as draft:
            fill(draft)
            artifact = Artifact(kind, relative, "", file_digest(draft), draft.stat().st_size)
        return self._listed(artifact)

    def take_note(self, artifact: Artifact) -> None:
        """List a file that lies there already, written by a block that was killed before it could list it."""
        self._listed(artifact)

    def remove(self, relative: str) -> None:
        """Delete a derived file, such as a page that a shorter report no longer has."""
        inside(self.root, relative).unlink(missing_ok=True)
        self._derived.pop(relative, None)

    def _listed(self, artifact: Artifact) -> Artifact:
        self._derived[artifact.path] = DerivedEntry(artifact.sha256, artifact.size, artifact.kind)
        return artifact

    def save(self) -> None:
        """Write the manifest where a file was added, removed or changed."""
        if self._derived != self._manifest.derived:
            self._manifest = dataclasses.replace(self._manifest, derived=dict(self._derived))
            write_atomic(self.root / MANIFEST, render(self._manifest))


@contextlib.contextmanager
def adding_to(path: str | Path) -> Iterator[Additions]:
    """Hold the run at ``path`` and add files to it; the manifest lists them when the block ends, also by an error.

    The run's status stays what it was. Killed in between, a file may be there that ``verify`` does not know: the same
    command again mends that.

    Raises:
        StoreError: ``SW-S17`` there is no run or it has no manifest, ``SW-S04`` held by another writer, ``SW-S02`` not
            writable, ``SW-S07`` or ``SW-S11`` as the manifest says.

    Example:
        >>> import tempfile
        >>> from seewhy.store.run_directory import RunDirectory
        >>> folder = Path(tempfile.mkdtemp()) / "mine"
        >>> with RunDirectory.open(folder, {"seed": 0}) as run:
        ...     run.finish()
        >>> with adding_to(folder) as run:
        ...     run.write_file("report/index.html", b"<!doctype html>", kind="report").size
        15
    """
    root = run_at(Path(path))
    with holding(root):
        manifest = read_manifest(root)
        if manifest is None:
            raise StoreError(
                "SW-S17", f"{path} has no manifest.json", fix="run the command that made it again: that rebuilds it"
            )
        additions = Additions(root, manifest)
        try:
            yield additions
        finally:
            additions.save()
