"""Where things are in a copy of the ACDC data set: patients, their Info.cfg, frames and files.

Layout and fields: Bernard et al., "Deep Learning Techniques for Automatic MRI Cardiac Multi-structures Segmentation and
Diagnosis", IEEE TMI 2018. Copies differ: with or without ``training/`` and ``testing/``, ``.nii`` or ``.nii.gz``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from seewhy.data.records import duplicate_id
from seewhy.data.settings import canonical_split, check_names
from seewhy.values import DataError, nearest

GROUPS: Final = ("DCM", "HCM", "MINF", "NOR", "RV")
GROUP_ALIASES: Final = {"ARV": "RV"}


@dataclass(frozen=True)
class Patient:
    """One folder with an ``Info.cfg``. ``ed`` and ``es`` are 1-based frame numbers, as in the file."""

    patient_id: str
    folder: Path
    ed: int
    es: int
    frames: int | None
    group: str | None
    part: str | None

    @property
    def middle(self) -> int:
        """The 1-based frame half way between end-diastole and end-systole."""
        return (self.ed + self.es) // 2

    def cine(self) -> Path:
        """The 4-D file; DataError SW-D05 when there is none."""
        found = _volumes(self.folder, f"{self.patient_id}_4d*") or _volumes(self.folder, "*_4d*")
        if found:
            return found[0]
        present = sorted(path.name for path in self.folder.iterdir())
        raise DataError(
            "SW-D05",
            f"{self.patient_id}: no file {self.patient_id}_4d.nii.gz",
            fix="copy the 4-D cine file into the patient's folder",
            near=nearest(f"{self.patient_id}_4d.nii.gz", present),
        )

    def ed_mask(self) -> Path | None:
        """The expert's segmentation of the end-diastolic frame, if the copy has it."""
        found = _volumes(self.folder, f"*_frame{self.ed:02d}_gt*")
        return found[0] if found else None


def find_patients(root: Path) -> list[Patient]:
    """Every patient below ``root``, sorted by id.

    Raises ``DataError``: SW-D03 no ``Info.cfg`` anywhere, SW-D04 a patient twice, SW-D20 an ``Info.cfg`` that lacks a
    frame number or names an unknown group.
    """
    patients = [_patient(config, root) for config in sorted(root.rglob("Info.cfg"))]
    if not patients:
        raise DataError(
            "SW-D03",
            f"no patients below {root}: no folder holds an Info.cfg",
            fix="expected root/training/patient001/Info.cfg with patient001_4d.nii.gz beside it",
        )
    first: dict[str, Patient] = {}
    for patient in patients:
        earlier = first.setdefault(patient.patient_id, patient)
        if earlier is not patient:
            raise duplicate_id(patient.patient_id, earlier.folder, patient.folder)
    return sorted(patients, key=lambda patient: patient.patient_id)


def parse_info(text: str) -> dict[str, str]:
    """The ``key: value`` lines of an ``Info.cfg`` (it has no section header).

    >>> parse_info("ED: 1\\nGroup: DCM\\n")
    {'ED': '1', 'Group': 'DCM'}
    """
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def group_order(class_names: Sequence[str] | None) -> list[str]:
    """The five groups in the order given (ARV means RV), by default alphabetical; DataError SW-D11 otherwise."""
    if class_names is None:
        return list(GROUPS)
    names = [_group_name(name) for name in check_names(class_names)]
    for name in names:
        if name not in GROUPS:
            raise DataError(
                "SW-D11", f"class_names: {name!r} is no ACDC group", fix=f"order {', '.join(GROUPS)}", near=GROUPS
            )
    if sorted(names) != sorted(GROUPS):
        raise DataError(
            "SW-D11",
            f"class_names must hold each ACDC group once; got {', '.join(names)}",
            fix=f"order {', '.join(GROUPS)}",
        )
    return names


def _patient(config: Path, root: Path) -> Patient:
    try:
        info = parse_info(config.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise DataError("SW-D20", f"{config} cannot be read: {error.strerror}", fix="check the file") from error
    folder = config.parent
    parts = [canonical_split(part) for part in folder.relative_to(root).parts[:-1]] or [canonical_split(root.name)]
    return Patient(
        patient_id=folder.name,
        folder=folder,
        ed=_frame(info, "ED", config),
        es=_frame(info, "ES", config),
        frames=_frame(info, "NbFrame", config) if "NbFrame" in info else None,
        group=_group(info.get("Group"), config),
        part=next((part for part in parts if part in ("train", "test")), None),
    )


def _frame(info: Mapping[str, str], key: str, config: Path) -> int:
    value = info.get(key, "")
    if value.isascii() and value.isdigit() and int(value) >= 1:
        return int(value)
    raise DataError(
        "SW-D20",
        f"{config}: {key} must be a frame number from 1; " + (f"got {value!r}" if value else "the line is missing"),
        fix=f"write a line like `{key}: 1`",
        near=nearest(key, info) if not value else (),
    )


def _group(name: str | None, config: Path) -> str | None:
    if not name:
        return None
    group = _group_name(name)
    if group not in GROUPS:
        raise DataError(
            "SW-D20",
            f"{config}: the group {name!r} is none of {', '.join(GROUPS)}",
            fix="correct the line `Group: …`",
            near=nearest(group, GROUPS),
        )
    return group


def _group_name(name: str) -> str:
    return GROUP_ALIASES.get(name.upper(), name.upper())


def _volumes(folder: Path, pattern: str) -> list[Path]:
    return sorted(
        path
        for path in folder.glob(pattern)
        if path.name.endswith((".nii", ".nii.gz")) and path.is_file() and ("_gt" in pattern or "_gt" not in path.name)
    )
