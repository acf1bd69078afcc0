"""Where questions of pages meet the models: one worker, the pictures dropped in, and errors in plain words."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from seewhy.report.live import Live, LiveError
from seewhy.report.live_images import MOST_BYTES, Images, too_large
from seewhy.report.live_question import checked_run, question_of, run_of
from seewhy.report.live_record import live_record_json
from seewhy.report.live_worker import WAITING, Worker
from seewhy.report.patience import Patience
from seewhy.report.redaction import Redactor
from seewhy.report.run_facts import Facts
from seewhy.values import Json, SeewhyError

SUGGESTED: Final = 20
SECONDS: Final = 60.0
"""How long one question may take, unless the server was started with another number."""
BUSY, TOO_LARGE, TOO_LONG, UNEXPECTED = "SW-W45", "SW-W44", "SW-W56", "SW-W59"
STATUS: Final = {BUSY: 503, TOO_LARGE: 413, TOO_LONG: 504, UNEXPECTED: 500}
"""The status of an answer by the code of its error; 400 for all others."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Told:
    """What goes back to a page: JSON with its status."""

    status: int
    body: Json


class LiveDesk:
    """The models of some runs, asked one question at a time; ``facts`` are those of the same runs.

    Args:
        models: one for each run, in their order.
        facts: what the runs say of themselves.
        waiting: how many questions may be open at once.
        seconds: how long one question may take once its turn has come.
    """

    def __init__(
        self, models: Sequence[Live], facts: Sequence[Facts], *, waiting: int = WAITING, seconds: float = SECONDS
    ) -> None:
        self._seconds = seconds
        self._models, self._facts = tuple(models), tuple(facts)
        self.images = Images()
        self.worker = Worker(waiting)
        self._offers: list[Future[Mapping[str, Json]]] = [self.worker.submit(model.offers) for model in self._models]

    @property
    def runs(self) -> int:
        """How many models can be asked."""
        return len(self._models)

    def offers(self) -> list[Future[Mapping[str, Json]]]:
        """What each model may be asked, as soon as it is known."""
        return self._offers

    def asked(self, asked: Json) -> Future[Json]:
        """A question in the queue; its answer is a RECORD. ``LiveError`` for what is no question, or one too many."""
        run = run_of(asked, self.runs)
        question = replace(question_of(asked, self.images), patience=Patience(self._seconds))
        model, facts = self._models[run], self._facts[run]
        return self.worker.submit(lambda: live_record_json(model.ask(question), facts), question.patience)

    def looked(self, content: bytes, run: Json) -> Future[Json]:
        """A dropped picture, opened once and then kept; its answer names it by a handle."""
        model = self._models[checked_run(run, self.runs)]
        if len(content) > MOST_BYTES:
            raise too_large()
        return self.worker.submit(partial(self._keep, model, content))

    def _keep(self, model: Live, content: bytes) -> Json:
        found = model.look(content)
        return {"handle": self.images.add(content), **found}

    def found(self, text: str, run: Json) -> Json:
        """The first records whose id holds a text."""
        model = self._models[checked_run(run, self.runs)]
        return {"records": [{"split": split, "id": record_id} for split, record_id in model.find(text, SUGGESTED)]}

    def told(self, error: BaseException) -> Told:
        """An error in words for a page, without a path of this machine; one that nobody expected goes to the log."""
        if not isinstance(error, SeewhyError):
            logger.error("a live question met an unexpected error", exc_info=error)
            error = LiveError(
                UNEXPECTED,
                f"the question met an unexpected error ({type(error).__name__}); the server goes on",
                fix="the terminal of `seewhy serve` says more; ask something else",
            )
        redact = self._facts[0].redact if self._facts else Redactor()
        body = {
            "code": error.code, "message": redact(error.message), "near": [redact(one) for one in error.near],
            "fix": redact(error.fix),
        }  # fmt: skip
        return Told(STATUS.get(error.code, 400), {"error": body})

    def close(self) -> None:
        """Take no more questions, and end the one being answered at the model's next pass."""
        self.worker.close()
