"""Paths and ids as people type them reach the run unchanged, through Hydra's grammar."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_samples import DEFAULT, PHOTOS, pictures, write_experiment
from hydra.core.override_parser.overrides_parser import OverridesParser

from seewhy.cli.arguments import FREE_TEXT, quoted, split_commas, take_config_dir

AWKWARD = [
    "logs/epoch=3-step=10.ckpt",
    "logs/epoch=03-val_loss=0.12.ckpt",
    "my models/best one.ckpt",
    "run(1)/x.ckpt",
    "a:b@c%d+e~f!.ckpt",
    "it's.ckpt",
    'say "hi".ckpt',
    "C:\\models\\new\\table.ckpt",
    "C:\\models\\",
    "back\\'slash.ckpt",
    "{x}.ckpt",
    "$HOME.ckpt",
    "#5.ckpt",
    "naïve-心.ckpt",
    "true",
    "nan",
    "1e5",
    "007",
    "1_000",
    "12",
    "-5",
    "..",
    "tab\there",
    "trailing ",
    " leading",
    "?",
    "*",
    "a|b&c;d<e>f",
    "dash--dash",
]


def value_of(word: str) -> Any:
    (override,) = OverridesParser.create().parse_overrides([word])
    return override.value()


@pytest.mark.parametrize("text", AWKWARD)
def test_the_value_of_a_path_like_key_arrives_as_it_was_typed(text: str) -> None:
    assert {key: value_of(quoted([f"{key}={text}"])[0]) for key in FREE_TEXT} == dict.fromkeys(FREE_TEXT, text)


@pytest.mark.parametrize("text", [text for text in AWKWARD if text == text.strip()])
def test_so_does_each_element_of_a_list_and_of_a_sweep(text: str) -> None:
    (word,) = quoted([f"record_id=[{text}, b=2]"])
    assert value_of(word) == [text, "b=2"]
    _, word = quoted(["-m", f"ckpt_path={text},x=1.ckpt"])
    (override,) = OverridesParser.create().parse_overrides([word])
    assert [element.text for element in override.value().list] == [text, "x=1.ckpt"]


@pytest.mark.parametrize("prefix", ["+", "++"])
def test_a_key_that_is_added_is_treated_alike(prefix: str) -> None:
    (word,) = quoted([f"{prefix}data.root=my photos=1"])
    assert value_of(word) == "my photos=1"


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("ckpt_path=null", None),
        ("record_id=null", None),
        ("ckpt_path='a b'", "a b"),
        ('ckpt_path="a=b"', "a=b"),
        ("output_dir=${paths.artifact_dir}/x", "${paths.artifact_dir}/x"),
        ("record_id=[]", []),
    ],
)
def test_null_quotes_and_interpolations_keep_their_meaning(word: str, value: Any) -> None:
    assert value_of(quoted([word])[0]) == value


@pytest.mark.parametrize("word", ["splits=[train,val]", "data.batch_size=16", "-m", "--cfg", "~ckpt_path", "seed=3"])
def test_other_words_are_left_alone(word: str) -> None:
    assert quoted([word]) == [word]


def test_commas_inside_quotes_do_not_split() -> None:
    assert split_commas("a,'b,c',\"d,e\",f") == ["a", "'b,c'", '"d,e"', "f"]


@pytest.mark.parametrize("words", [["--config-dir", "x=1", "a=b"], ["a=b", "--config-dir=x=1"], ["-cd", "x=1", "a=b"]])
def test_the_config_folder_may_be_named_in_every_usual_way(words: list[str]) -> None:
    assert take_config_dir(words) == (["a=b"], "x=1")


# -- the same, through the whole command

E = "experiment=embeddings/my_experiment"


def test_a_lightning_checkpoint_needs_no_quotes(project: Path, command: Callable[..., Any], checkpoint: bytes) -> None:
    Path("logs").mkdir()
    Path("logs/epoch=3-step=10.ckpt").write_bytes(checkpoint)
    ended = command(f"{E} ckpt_path=logs/epoch=3-step=10.ckpt splits=val output_dir=out/lr=0.1,seed=2")
    assert ended.code == 0, ended.err
    assert pictures(Path("out/lr=0.1,seed=2"))


def test_awkward_checkpoints_in_a_multirun(project: Path, command: Callable[..., Any], checkpoint: bytes) -> None:
    names = ["epoch=3-step=10.ckpt", "my (best) one.ckpt"]
    for name in names:
        Path(name).write_bytes(checkpoint)
    ended = command(
        "-m", E, f"ckpt_path={names[0]},{names[1]}", "splits=val", "generate_attention=false", "target_classes=[0]"
    )
    assert ended.code == 0, ended.err
    assert [pictures(DEFAULT / job) for job in ("0", "1")] == [
        {f"gradcam/val_0000{i}/class_0.png" for i in range(2)}
    ] * 2


def test_ids_and_folders_with_signs_in_them(project: Path, command: Callable[..., Any]) -> None:
    from PIL import Image

    root = Path("my photos (2024), a=1")
    root.mkdir()
    for name in ("lr=0.1,x", "007", "true", "1e5", "other one"):
        Image.new("RGB", (40, 40), (200, 30, 90)).save(root / f"{name}.png")
    write_experiment(project, "photos", PHOTOS)
    line = [
        "experiment=photos",
        "ckpt_path=path/to/model.ckpt",
        f"data.root={root}",
        "target_classes=[0]",
        "generate_attention=false",
        "generate_embeddings=false",
    ]
    for asked, found in (("007", {"007"}), ("[true,1e5]", {"true", "1e5"}), ("lr=0.1,x", {"lr_0_1_x"})):
        out = Path(f"out-{len(asked)}")
        ended = command(*line, f"record_id={asked}", f"output_dir={out}")
        assert ended.code == 0, ended.err
        assert {name.split("/")[1].split("-")[0] for name in pictures(out)} == found
