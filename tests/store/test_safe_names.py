"""Names on disk: readable where they can be, never outside the directory, never the same for two ids."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seewhy.store.layout import inside
from seewhy.store.names import SafeNames, safe_name
from seewhy.values import StoreError

HOSTILE = [
    "../../x", "/etc/passwd", "C:\\x", "\\\\host\\x", "a\0b", "CON", "con.txt", "nul", "COM1", "lpt9.png", "", ".",
    "..", "x" * 300, "é", unicodedata.normalize("NFD", "é"), "\u202egnp.exe", "😀", "a", "A", "trailing.",
    "trailing ", "<script>", "new\nline", "-rf", "=cmd()", "~", "a/../b", "a//b", "/a", "a/", ".hidden", "a/.hidden",
    "a+b", "a/b", "a_b", "%2e%2e", "a:stream", "*?", "record", "cat/con", "İ", "ı", "ſ", "ß", "ss",
]  # fmt: skip


@pytest.mark.parametrize("plain", ["patient_123", "Patient_1", "img.001", "0", "_x", "a-b", "IMG_0001.jpg"])
def test_a_safe_id_is_its_own_name(plain: str) -> None:
    assert SafeNames([plain, "other"])[plain] == plain


def test_folders_become_a_plus() -> None:
    assert safe_name("cat/black/img1.jpg") == "cat+black+img1.jpg"
    assert safe_name("cat+black/img1.jpg") != "cat+black+img1.jpg"


def test_an_escaped_id_keeps_its_letters_and_gets_the_hash_of_the_whole_id() -> None:
    # printf 'my cat.jpg' | sha256sum
    assert safe_name("my cat.jpg") == "my_cat_jpg-4e003780c16ae553"


def test_ids_that_differ_in_case_only_are_both_hashed_and_others_are_not() -> None:
    names = SafeNames(["Patient_1", "patient_1", "Patient_2"])
    assert names["Patient_2"] == "Patient_2"
    assert names["Patient_1"].startswith("Patient_1-")
    assert names["patient_1"].startswith("patient_1-")
    assert names["Patient_1"].lower() != names["patient_1"].lower()


def test_an_id_that_imitates_the_hashed_name_of_another_does_not_get_it() -> None:
    victim = "my cat.jpg"
    assert safe_name(safe_name(victim)) != safe_name(victim)


def require_portable(name: str) -> None:
    assert 1 <= len(name) <= 100
    assert name.isascii()
    assert name.isprintable()
    assert not set(name) & set('/\\:*?"<>| ')
    assert name[0] not in ".-"
    assert name[-1] != "."
    assert name.split(".")[0].upper() not in {"CON", "PRN", "AUX", "NUL", "COM1", "COM0", "LPT9", "LPT1"}


def test_hostile_ids_stay_inside_the_directory_and_apart(tmp_path: Path) -> None:
    names = SafeNames(HOSTILE)
    for identifier in HOSTILE:
        require_portable(names[identifier])
        path = inside(tmp_path.resolve(), f"gradcam/{names[identifier]}/class_0.png")
        path.parent.mkdir(parents=True)
        path.write_text(identifier.replace("\0", "NUL"))
    assert len({names[identifier].lower() for identifier in HOSTILE}) == len(HOSTILE)
    assert [path.name for path in tmp_path.iterdir()] == ["gradcam"]
    assert len(list((tmp_path / "gradcam").iterdir())) == len(HOSTILE)


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=120), unique=True, max_size=20))
def test_any_ids_get_portable_names_that_differ_even_without_case(ids: list[str]) -> None:
    names = SafeNames(ids)
    for identifier in ids:
        require_portable(names[identifier])
    assert len({names[identifier].lower() for identifier in ids}) == len(ids)
    assert [SafeNames(reversed(ids))[identifier] for identifier in ids] == [names[identifier] for identifier in ids]


@given(st.text("aAbB/+-_. 0123456789f", max_size=40), st.text("aAbB/+-_. 0123456789f", max_size=40))
def test_two_ids_of_nearby_letters_never_share_a_name(one: str, other: str) -> None:
    assert (safe_name(one) == safe_name(other)) == (one == other)


def test_an_id_of_undecodable_bytes_is_refused_by_name() -> None:
    with pytest.raises(StoreError, match="img") as refusal:
        SafeNames([os.fsdecode(b"img\xff.png")])
    assert refusal.value.code == "SW-S14"


@pytest.mark.parametrize(
    "relative",
    ["../x", "/etc/passwd", "a/../../x", "", ".", "a\0b", "a\\b", "a\nb", "\udcff", f"gradcam/{'x' * 256}"],
)
def test_a_path_that_leaves_the_directory_is_refused(tmp_path: Path, relative: str) -> None:
    with pytest.raises(StoreError) as refusal:
        inside(tmp_path.resolve(), relative)
    assert refusal.value.code == "SW-S10"


@pytest.mark.parametrize("relative", ["manifest.json", "./manifest.json", ".lock", "shards/train-00000.parquet"])
def test_the_stores_own_files_are_no_artifacts(tmp_path: Path, relative: str) -> None:
    with pytest.raises(StoreError) as refusal:
        inside(tmp_path.resolve(), relative)
    assert refusal.value.code == "SW-S10"


def test_a_path_through_a_link_to_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    root = tmp_path / "run"
    root.mkdir()
    (root / "gradcam").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError) as refusal:
        inside(root.resolve(), "gradcam/x.png")
    assert refusal.value.code == "SW-S10"
