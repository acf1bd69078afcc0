"""What data sets of volumes and of clips have in common: records that are files or folders, listed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seewhy.data.folder_listing import Listing, content_revision
from seewhy.data.places import revision_at
from seewhy.data.records import Record, RecordRef, Space
from seewhy.data.volume_input import LoadedInput


class ListedFiles:
    """Records of one input each; ``assumed`` is what nobody said and how it was taken."""

    def __init__(self, found: Listing, input_name: str, assumed: Mapping[str, str]) -> None:
        self.class_names: Sequence[str] | None = found.class_names
        self._index, self._paths = found.index, found.paths
        self._input_name = input_name
        self._assumed = dict(assumed)

    def index(self) -> Sequence[RecordRef]:
        """Every record, in the order of the paths or of the table's rows."""
        return self._index

    def revision(self, position: int) -> str:
        """A digest of the bytes of the file, or of the DICOM files in the folder; or of the versions a store tells."""
        return revision_at(self._paths[position], content_revision)

    def assumptions(self) -> Mapping[str, str]:
        """What was taken for granted where a setting was left open, by what it is about."""
        return self._assumed

    def _record(self, position: int, loaded: LoadedInput, space: Space | None = None) -> Record:
        ref = self._index[position]
        return Record(
            record_id=ref.record_id,
            split=ref.split,
            inputs={self._input_name: loaded.values},
            label=ref.label,
            geometry=loaded.geometry,
            revision=self.revision(position),
            notes=loaded.notes,
            space=space,
        )
