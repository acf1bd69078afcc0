"""Absolute paths leave texts; everything else stays."""

from __future__ import annotations

import pytest

from seewhy.report.redaction import Redactor, absolute_paths

PATHS = {
    "cannot open /data/jane/scan.nii: no such file": "cannot open …/scan.nii: no such file",
    "[Errno 2] No such file: '/data/Jane Doe/my scan.nii'": "[Errno 2] No such file: '…/my scan.nii'",
    'in "C:\\Users\\jane\\a.png"': 'in "…/a.png"',
    "D:\\scans\\a.dcm is empty": "…/a.dcm is empty",
    "\\\\server\\share\\jane\\a.dcm": "…/a.dcm",
    "'C:\\\\Users\\\\jane\\\\a.png'": "'…/a.png'",
    "'\\\\\\\\server\\\\share\\\\a.dcm'": "'…/a.dcm'",
    "see file:///srv/jane/x.png": "see …/x.png",
    "~/scans/a.png is no picture": "…/a.png is no picture",
    "path=/tmp": "path=…/tmp",
    "(/a/b/c.png, /d/e.png)": "(…/c.png, …/e.png)",
}
PLAIN = [
    "1 / 3 of the slices", "cat/img1 and/or dog", "https://example.org/page", "n/a", "+/- 3", "</script>", "a\\nb",
    "shape (3, 4)", "…/already.png", "12 km/h", "gradcam@layer4.1/conv", "a NUL '\\x00' in the name", "bytes \\x89PNG",
    "b'\\x89PNG\\r\\n'", "'\\\\x00\\\\x01' escaped twice", "\\d+ matches nothing", "'\\u2028'", "\\\\server alone",
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), PATHS.items())
def test_only_the_last_part_of_a_path_is_told(text: str, expected: str) -> None:
    assert Redactor()(text) == expected


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_path_stays(text: str) -> None:
    assert Redactor()(text) == text


@pytest.mark.parametrize("text", PATHS)
def test_paths_stay_where_they_are_asked_for(text: str) -> None:
    assert Redactor(include_paths=True)(text) == text
    assert Redactor(include_paths=True).json({"root": text}) == {"root": text}


def test_a_space_in_a_known_path_hides_nothing() -> None:
    redact = Redactor(("/srv/jane doe/scans", "/srv/jane doe"))
    assert redact("bad /srv/jane doe/scans/a b.png") == "bad …/a b.png"
    assert redact("in /srv/jane doe/other") == "in …/other"
    assert redact("root /srv/jane doe/scans, split val") == "root …/scans, split val"


def test_known_paths_are_no_more_than_they_are() -> None:
    assert Redactor(("/data/a",))("/data/another/x.png") == "…/x.png"


def test_words_of_a_command() -> None:
    redact = Redactor()
    assert redact.word("data.root=/srv/jane doe/my scans") == "data.root=…/my scans"
    assert redact.word("--splits=train,val") == "--splits=train,val"
    assert redact.word("/srv/jane/x.ckpt") == "…/x.ckpt"


def test_names_are_cut_only_where_they_are_paths_as_a_whole() -> None:
    assert Redactor().name("/data/Jane/a 1.png") == "…/a 1.png"
    assert Redactor().name("ward /a/b") == "ward /a/b"
    assert Redactor().name("</script><script>alert(1)</script>") == "</script><script>alert(1)</script>"


def test_plain_values_are_searched_to_the_bottom() -> None:
    found = {"data": [{"root": "/x/y"}, "k=/x/z", 3, None, 1.5], "n": 2}
    assert sorted(absolute_paths(found)) == ["/x/y", "/x/z"]
    assert Redactor().json(found) == {"data": [{"root": "…/y"}, "k=…/z", 3, None, 1.5], "n": 2}
