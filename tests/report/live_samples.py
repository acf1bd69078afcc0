"""A live model that needs no network and no torch: what it is asked, and answers that anyone can work out."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from seewhy.report.live import Answered, LiveError, Question
from seewhy.report.redaction import Redactor
from seewhy.report.run_facts import Facts
from seewhy.store.manifest import Manifest
from seewhy.values import Answer, Json, Preview, RecordRow


class PlainLive:
    """Answers each record with its own number; ``gate`` holds answers back until it is set.

    Where it is not ``patient``, it makes one pass after the other until the question is at its end.
    """

    def __init__(self) -> None:
        self.patient = True
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Semaphore(0)
        self.asked: list[Question] = []
        self.at_once = self.most_at_once = 0

    def offers(self) -> Mapping[str, Json]:
        """One method."""
        return {"title": "plain", "methods": [{"name": "plain"}]}

    def find(self, text: str, most: int) -> Sequence[tuple[str, str]]:
        """The records 0 to 99."""
        return [("test", str(number)) for number in range(100) if text in str(number)][:most]

    def look(self, image: bytes) -> Mapping[str, Json]:
        """Nothing is looked at but the first byte."""
        if image[:1] == b"x":
            raise LiveError("SW-W49", "no picture in /data/ada/secret/a.png", fix="choose a record")
        return {"width": len(image), "height": 1, "notes": []}

    def ask(self, question: Question) -> Answered:
        """A map of one cell that holds the record's number."""
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.asked.append(question)
        self.began.release()
        try:
            assert self.gate.wait(20)
            while not self.patient:
                question.patience.check()
                time.sleep(0.01)
            if question.method == "broken":
                raise RuntimeError("the weights in /data/ada/secret/weights.pt are broken")
            if question.method == "unknown":
                raise LiveError("SW-W48", "no such record below /data/ada/secret", fix="", near=["0"])
            return answered(int(question.record[1]) if question.record else len(question.image or b""))
        finally:
            self.at_once -= 1


def answered(number: int) -> Answered:
    """A record that is predicted to be class ``number % 3``, with a map and two grades, one of which does not exist."""
    answers = {
        "plain@top": Answer(np.full((1, 1, 1), number, np.float32), (1,)),
        "deletion(plain@top)": Answer(np.array([0.25], np.float32), (1,)),
        "gini(random)": Answer(np.array([np.nan], np.float32), (1,)),
    }
    grade = {"kind": "grades", "input": "image"}
    row = RecordRow(
        record_id=str(number), split="test", position=number, label=0, predicted=number % 3, confidence=0.5,
        probabilities=np.eye(3, dtype=np.float32)[number % 3], answers=answers,
        facts={"undefined gini(random)": "nothing is there"}, previews=(Preview("image", "picture", jpeg()),),
    )  # fmt: skip
    questions: dict[str, Any] = {
        "plain@top": {
            "kind": "map", "method": "plain", "layer": "top", "scale": "magnitude", "inputs": ["image"], "unit": "ells",
        },
        "deletion(plain@top)": {**grade, "method": "plain", "metric": "deletion", "better": "lower"},
        "gini(random)": {**grade, "control": "random", "metric": "gini", "better": "neither"},
    }  # fmt: skip
    return Answered(row, questions, {"title": "plain", "notes": ["read from /data/ada/secret/a.png"]})


def jpeg() -> bytes:
    """A gray picture of 8 × 8 pixels."""
    content = io.BytesIO()
    Image.new("RGB", (8, 8), (128, 128, 128)).save(content, "JPEG")
    return content.getvalue()


def plain_facts() -> Facts:
    """Facts of a run of nothing."""
    return Facts(Manifest({}), Redactor(), class_names=("a", "b", "c"))
