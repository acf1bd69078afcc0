"""What is to be known of a run beside its numbers: class names, what was chosen, and the commands that made it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from seewhy.pipeline.drawings import Drawing, drawings_of, from_json, to_json
from seewhy.pipeline.job import Job
from seewhy.remote.address import without_secrets
from seewhy.report.redaction import Redactor
from seewhy.store.names import SafeNames
from seewhy.store.run_files import ABOUT as ABOUT
from seewhy.values import Json

DRAWINGS, CROWDED = "drawings", "crowded_names"
"""What is drawn of each record, and the lower-case names that ids would share: what pictures made later need."""
RUNNER: Final = re.compile(r"[+~]*(runner|ray(\..*?)?)(=.*)?", re.DOTALL)
"""Words that say who computes, not what: a run is the same whoever did."""
OWN_PLACE: Final = re.compile(r"(?P<name>(output_dir=|--output-dir=)).*", re.DOTALL)


def about_json(job: Job, command: Sequence[str], earlier: Path) -> bytes:
    """The file's bytes. Commands add up, each once; one from Python is none. So do drawings.

    No path of a machine gets in, nor where the run lies: the same run has the same bytes anywhere, but for a batch size
    found from free memory (``batch_size=auto``), which tells how much there was.
    """
    commands = earlier_commands(earlier)
    words = portable(command)
    if words and words not in commands:
        commands.append(words)
    said: dict[str, Json] = {
        "class_names": None if job.class_names is None else list(job.class_names),
        "label_names": None if job.dataset.class_names is None else list(job.dataset.class_names),
        "labels_match": job.labels_match,
        "choices": dict(job.found.choices | job.label_note),
        "not_applicable": dict(job.found.not_applicable),
        "default_layers": dict(job.found.default_layers),
        DRAWINGS: to_json([*drawings_said(earlier), *drawings_of(job.found.questions, job.found)]),
        CROWDED: list(SafeNames(ref.record_id for ref in job.index).crowded),
        "commands": commands,
    }
    return (json.dumps(said, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def drawings_said(path: Path) -> tuple[Drawing, ...]:
    """The drawings that an ``about.json`` tells of; none where it is not there or says nothing of them."""
    try:
        return from_json(json.loads(path.read_text("utf-8"))[DRAWINGS])
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def portable(command: Sequence[str]) -> list[str]:
    """The words of a command without places of this machine: a path keeps its name, the run's own place is left open.
    An address keeps neither a password nor a query, which may be a signature. Who computed (``runner=``, ``ray.*``) is
    left out: the files of a run are the same whoever did.

    Example:
        >>> portable(["generate_artifacts", "ckpt_path=/data/best.ckpt", "output_dir=here", "seed=1"])
        ['generate_artifacts', 'ckpt_path=…/best.ckpt', 'output_dir=…', 'seed=1']
        >>> portable(["data.root=s3://bucket/set", "ckpt_path=https://host/best.ckpt?X-Amz-Signature=1f2e"])
        ['data.root=s3://bucket/set', 'ckpt_path=https://host/best.ckpt']
    """
    redact = Redactor()
    words: list[str] = []
    for word in command:
        if words and words[-1] == "--output-dir":
            words.append("…")
        elif not RUNNER.fullmatch(word):
            words.append(OWN_PLACE.sub(r"\g<name>…", without_secrets(redact.word(word))))
    return words


def earlier_commands(earlier: Path) -> list[list[str]]:
    """The commands that an ``about.json`` tells of; none where it is not there or says nothing of them."""
    try:
        said = json.loads(earlier.read_text("utf-8"))["commands"]
        return [[str(word) for word in words] for words in said]
    except (OSError, ValueError, KeyError, TypeError):
        return []
