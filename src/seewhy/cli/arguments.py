"""Command-line words made safe for Hydra's grammar: paths and ids may hold ``=``, commas, spaces and brackets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from seewhy.values import ConfigError

FREE_TEXT = {
    "ckpt_path", "output_dir", "record_id", "target_layer", "embedding_layer", "data.root", "data.path",
    "data.manifest", "data.annotations", "paths.artifact_dir", "paths.data_dir",
}  # fmt: skip
"""Keys whose values are paths, ids or layers, which users type as they are."""

OPEN = ("model.kwargs.", "metrics.settings.", "metrics.settings=")
"""What goes to a library, a method or a metric as it is: any key may be set here without Hydra's ``+``."""

_MULTIRUN = ("-m", "--multirun")
_TASKS = {
    "run": ("-r", "--run"), "multirun": _MULTIRUN, "cfg": ("-c", "--cfg"), "info": ("-i", "--info"),
    "shell-completion": ("-sc", "--shell-completion"),
}  # fmt: skip
_CONFIG_DIR = ("--config-dir", "-cd")


def quoted(words: Sequence[str]) -> list[str]:
    """Words of a command line with the values of free-text keys quoted, so that Hydra's grammar takes them as text.

    That keeps ``=`` and spaces, and the id ``007`` from becoming the number 7. In a list, and in the comma list of a
    multirun, each element is quoted by itself. ``null``, interpolations and what is quoted already stay as they are.

    >>> quoted(["ckpt_path=logs/epoch=3-step=10.ckpt"])
    ["ckpt_path='logs/epoch=3-step=10.ckpt'"]
    >>> quoted(["-m", "ckpt_path=a=1.ckpt,b.ckpt"])
    ['-m', "ckpt_path='a=1.ckpt','b.ckpt'"]
    """
    flags = [word for word in words if word in _MULTIRUN]
    return [*flags, *(_quoted_word(word, bool(flags)) for word in words if word not in _MULTIRUN)]


def as_typed(overrides: Iterable[str]) -> list[str]:
    """Hydra's overrides as a person types them: what :func:`quoted` added is taken off again.

    >>> as_typed(["ckpt_path='logs/epoch=3-step=10.ckpt'", "++model.kwargs.drop_rate=0.1"])
    ['ckpt_path=logs/epoch=3-step=10.ckpt', 'model.kwargs.drop_rate=0.1']
    """
    return [re.sub(r"^([^=]+=)'([^'\\]*)'$", r"\1\2", word.removeprefix("++")) for word in overrides]


def _quoted_word(word: str, sweep: bool) -> str:
    key, equals, value = word.partition("=")
    if word.startswith(OPEN):
        return f"++{word}"
    if not equals or key.lstrip("+~") not in FREE_TEXT or not value:
        return word
    if value.startswith("[") and value.endswith("]"):
        return f"{key}=[{_quoted_elements(value[1:-1])}]"
    return f"{key}={_quoted_elements(value) if sweep else _quoted_value(value)}"


def _quoted_elements(value: str) -> str:
    elements = [element.strip() for element in split_commas(value)]
    return ",".join(_quoted_value(element) for element in elements if element)


def _quoted_value(text: str) -> str:
    already = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    if already or "${" in text or text == "null":
        return text
    # backslashes count as themselves, except before a quote: those of the text and the closing one
    inner = re.sub(r"(\\*)'", r"\1\1\\'", text)
    return "'" + re.sub(r"(\\+)$", r"\1\1", inner) + "'"


def split_commas(value: str) -> list[str]:
    """Split at commas outside quotes; a quote begins an element, one inside a word is part of the word."""
    parts, start, quote = [], 0, ""
    for place, character in enumerate(value):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"" and not value[start:place].strip():
            quote = character
        elif character == ",":
            parts.append(value[start:place])
            start = place + 1
    return [*parts, value[start:]]


def options_first(words: Sequence[str]) -> list[str]:
    """The words with options and their values before the settings: Hydra takes settings in one place only.

    The word behind an option is its value unless it is a setting (``KEY=VALUE``, ``~KEY``) or an option itself.

    >>> options_first(["data=image_folder", "--cfg", "job", "splits=[val]", "-m", "seed=1,2"])
    ['--cfg', 'job', '-m', 'data=image_folder', 'splits=[val]', 'seed=1,2']
    """
    options: list[str] = []
    settings: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        value = before.startswith("-") and "=" not in before and "=" not in word and not word.startswith("~")
        (options if value or word.startswith("-") else settings).append(word)
    return [*options, *settings]


def require_one_task(words: Sequence[str]) -> None:
    """Refuse several of Hydra's tasks in one command, which Hydra answers with a bare ``ValueError``.

    Raises ``ConfigError`` SW-F33.
    """
    found = {long: word for word in words for long, names in _TASKS.items() if word.partition("=")[0] in names}
    if len(found) > 1:
        raise ConfigError(
            "SW-F33",
            f"{' and '.join(found.values())} cannot be asked together",
            fix="leave out one of them: --cfg and --info show a single configuration, without -m",
        )


def take_config_dir(words: Sequence[str]) -> tuple[list[str], str | None]:
    """The words without ``--config-dir DIR``, and the folder it named."""
    rest: list[str] = []
    folder: str | None = None
    remaining = iter(words)
    for word in remaining:
        option, equals, value = word.partition("=")
        if option in _CONFIG_DIR:
            folder = value if equals else next(remaining, "")
        else:
            rest.append(word)
    return rest, folder
