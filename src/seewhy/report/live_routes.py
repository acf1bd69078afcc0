"""The addresses under which a dashboard's pages ask the live models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from seewhy.report.jinja import json_text
from seewhy.report.live import LiveError
from seewhy.report.live_desk import BUSY, LiveDesk, Told
from seewhy.report.live_images import MOST_BYTES
from seewhy.report.live_worker import CLOSING, LEFT
from seewhy.report.query import is_whole
from seewhy.values import Json, SeewhyError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

BODIES: Final = {"/live/image": MOST_BYTES}
"""How large a body may be, by address, where that is more than the guard lets through by itself."""
RETRY_SECONDS: Final = 2
LOOK_SECONDS: Final = 0.5
"""How often it is looked whether who asked is still there."""
LONGEST_TEXT: Final = 200


def live_routes(desk: LiveDesk, page: Callable[[Request], Awaitable[Response]]) -> list[Route]:
    """``GET /live`` (the page), ``/live/offers`` and ``/live/records``; ``POST /live/ask`` and ``/live/image``.

    ``page`` draws ``live.html`` as the other pages are drawn. Everything else is JSON; an error is ``{"error": {"code",
    "message", "near", "fix"}}`` with a status that is none of success.
    """
    from starlette.routing import Route

    async def offers(request: Request) -> Response:
        told = [await _result(desk, future, request, shared=True) for future in desk.offers()]
        refused = next((one for one in told if isinstance(one, Told)), None)
        return _answer([dict(one) for one in told] if refused is None else refused)

    async def records(request: Request) -> Response:
        text = request.query_params.get("text", "")[:LONGEST_TEXT]
        return _json(await asyncio.to_thread(desk.found, text, _run(request)))

    async def ask(request: Request) -> Response:
        try:
            asked: Json = json.loads(await request.body())
        except (ValueError, RecursionError):
            raise LiveError("SW-W40", "the question is no JSON", fix="ask from the page itself") from None
        return _answer(await _result(desk, desk.asked(asked), request))

    async def image(request: Request) -> Response:
        content = await request.body()
        return _answer(await _result(desk, desk.looked(content, _run(request)), request))

    return [
        Route("/live", page, methods=["GET"]),
        Route("/live/offers", _safe(desk, offers), methods=["GET"]),
        Route("/live/records", _safe(desk, records), methods=["GET"]),
        Route("/live/ask", _safe(desk, ask), methods=["POST"]),
        Route("/live/image", _safe(desk, image), methods=["POST"]),
    ]


def _safe(desk: LiveDesk, handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """A handler whose refusals are told in words."""

    async def handled(request: Request) -> Response:
        try:
            return await handle(request)
        except SeewhyError as error:
            return _answer(desk.told(error))

    return handled


async def _result(desk: LiveDesk, future: Future[Any], request: Request, *, shared: bool = False) -> Any:
    """The answer when it is there, or what it met in words; who leaves ends the question, unless the answer is shared.

    Where the server closes, nobody waits for the end of a pass through a model.
    """
    waiting = asyncio.wrap_future(future)
    waiting.add_done_callback(_heard)
    while not waiting.done():
        await asyncio.wait({waiting}, timeout=LOOK_SECONDS)
        if not waiting.done() and desk.worker.closed:
            raise LiveError(BUSY, CLOSING, fix="start it again, then ask again")
        if not waiting.done() and await request.is_disconnected():
            if not shared:
                desk.worker.leave(future)
            raise LiveError(BUSY, LEFT, fix="ask again")
    if waiting.cancelled():
        raise LiveError(BUSY, CLOSING, fix="start it again, then ask again")
    error = waiting.exception()
    return waiting.result() if error is None else desk.told(error)


def _heard(waiting: asyncio.Future[Any]) -> None:
    """An error that nobody waits for any more is no news to the log."""
    if not waiting.cancelled():
        waiting.exception()


def _run(request: Request) -> Json:
    text = request.query_params.get("run", "0")
    return int(text) if is_whole(text) else text


def _answer(told: Json | Told) -> Response:
    return _json(told.body, told.status) if isinstance(told, Told) else _json(told)


def _json(body: Json, status: int = 200) -> Response:
    from starlette.responses import Response

    headers = {"cache-control": "no-store"} | ({"retry-after": str(RETRY_SECONDS)} if status == 503 else {})
    return Response(json_text(body).encode(), status, headers, media_type="application/json")
