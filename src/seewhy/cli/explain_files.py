"""The files of ``seewhy explain``: which images its words name, and where each picture goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from seewhy.values import ConfigError


def images_of(words: Sequence[str]) -> list[Path]:
    """The files that words name, each once: a folder its pictures, a pattern what matches it, both sorted.

    A file that is not there stays: it fails alone when it is read.

    Raises:
        ConfigError: ``SW-F87``, a folder or pattern without pictures.
    """
    found = dict.fromkeys(path for word in words for path in _named(word))
    return list(found)


def _named(word: str) -> list[Path]:
    path = Path(word).expanduser()
    if path.is_dir():
        from seewhy.data.decoding import SUFFIXES

        inside = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
    elif path.exists() or not set(word) & set("*?["):
        return [path]
    else:
        pattern = str(path.relative_to(path.anchor))
        inside = sorted(file for file in Path(path.anchor).glob(pattern) if file.is_file())
    if not inside:
        raise ConfigError("SW-F87", f"{word!r} holds no pictures", fix="name pictures, or a folder that has some")
    return inside


def lines_of(path: Path) -> list[str]:
    """The classes' names in a text file, one on each line.

    Raises:
        ConfigError: ``SW-F88``, the file cannot be read.
    """
    try:
        return [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "SW-F88", f"{path}: the class names cannot be read ({error})", fix="name a UTF-8 text file, a name per line"
        ) from error


def output_folder(path: Path) -> Path:
    """The folder for pictures, created.

    Raises:
        ConfigError: ``SW-F89``, it cannot be.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            "SW-F89", f"--output-dir {path} cannot be used ({error.strerror})", fix="name a folder you may write to"
        ) from error
    return path


def picture_names(images: Sequence[Path], methods: Sequence[str]) -> Iterator[dict[str, str]]:
    """For each image the name of every method's picture, ``{stem}_{method}.png``; none occurs twice.

    Example:
        >>> list(picture_names([Path("a/cat.png"), Path("b/cat.png")], ["gradcam++"]))
        [{'gradcam++': 'cat_gradcampp.png'}, {'gradcam++': 'cat_2_gradcampp.png'}]
    """
    from seewhy.store.names import safe_name

    taken: set[str] = set()
    copies: Counter[str] = Counter()
    for image in images:
        stem = name = safe_name(image.stem)
        while taken & {file.casefold() for file in _names(name, methods).values()}:
            copies[stem] += 1
            name = f"{stem}_{copies[stem] + 1}"
        names = _names(name, methods)
        taken |= {file.casefold() for file in names.values()}
        yield names


def _names(stem: str, methods: Sequence[str]) -> dict[str, str]:
    return {method: f"{stem}_{method.replace('+', 'p')}.png" for method in methods}
