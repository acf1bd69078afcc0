"""The dashboard as an ASGI application: which address leads where, behind the guard."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from seewhy.report.access import Access
from seewhy.report.allowed_hosts import allowed_hosts
from seewhy.report.arrival import App, client_of
from seewhy.report.compare_pages import ComparePages
from seewhy.report.dashboard_frame import NO_STORE, Frame, status_of, told_of
from seewhy.report.dashboard_pages import Pages, json_response
from seewhy.report.dashboard_run import DashboardRun
from seewhy.report.errors import DashboardError
from seewhy.report.guard import Guard, Limits
from seewhy.report.live_desk import LiveDesk
from seewhy.report.live_routes import BODIES, live_routes
from seewhy.report.served_files import served_files
from seewhy.values import MissingExtraError, SeewhyError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

FOR_EVER = {"cache-control": "public, max-age=31536000, immutable"}
LONGEST_TOKEN = 1_000
LOGIN_BYTES = 1 << 10
THREADS = 8


def create_app(
    runs: Sequence[DashboardRun],
    *,
    port: int,
    hosts: Collection[str] | None = None,
    token: str | None = None,
    live: LiveDesk | None = None,
    limits: Limits | None = None,
) -> App:
    """The pages of some runs, for ``uvicorn`` or any other ASGI server on ``port``.

    Args:
        runs: what is shown, numbered from 0 in their order.
        port: the port that ``Host`` headers must carry.
        hosts: the exact ``Host`` headers answered to (default: those of this machine for itself).
        token: what visitors must show; None lets in all who reach the server, which is for loopback only.
        live: the models that can be asked, one for each run.

    Raises:
        MissingExtraError: starlette is not installed.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from seewhy.store.run_directory import RunDirectory
        >>> from seewhy.values import RecordRow
        >>> folder = Path(tempfile.mkdtemp()) / "mine"
        >>> with RunDirectory.open(folder, {"weights": "9f2c"}) as run:
        ...     _ = run.commit("test", [RecordRow("a", "test", 0)], {})
        >>> app = create_app([DashboardRun(0, folder)], port=8000)
    """
    try:
        from starlette.applications import Starlette
        from starlette.exceptions import HTTPException
    except ModuleNotFoundError as error:
        raise MissingExtraError("starlette", "serve") from error
    frame = Frame(runs, live is not None)
    access = Access(token, port)
    handlers: dict[Any, Any] = {
        SeewhyError: _known(frame), HTTPException: _unknown(frame), Exception: _unexpected()
    }  # fmt: skip
    app = Starlette(
        routes=[*_page_routes(frame), *_login_routes(frame, access), *_live_routes(frame, live)],
        exception_handlers=handlers,
        lifespan=_few_threads,
    )
    app.router.redirect_slashes = False
    bounds = limits or Limits(bodies={"/login": LOGIN_BYTES, **(BODIES if live is not None else {})})
    return Guard(app, hosts if hosts is not None else allowed_hosts("127.0.0.1", port), access, bounds)


@contextlib.asynccontextmanager
async def _few_threads(_: object) -> AsyncIterator[None]:
    """Pages are made in a few threads: more would only hold more memory."""
    import anyio.to_thread

    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


def _page_routes(frame: Frame) -> list[Route]:
    from starlette.routing import Route

    pages, compare = Pages(frame), ComparePages(frame)
    _register_numbers()
    run, record = "/runs/{run:number}", "/runs/{run:number}/records/{number:number}"
    handlers: dict[str, Callable[[Request], Response]] = {
        "/": pages.first,
        "/choose": pages.choose,
        run: pages.summary("overview"),
        f"{run}/methods": pages.summary("methods"),
        f"{run}/made": pages.summary("made"),
        f"{run}/records": pages.records,
        f"{run}/find": pages.find,
        f"{run}/map": pages.map,
        f"{run}/map/{{method:str}}.json": pages.points,
        record: pages.record,
        f"{record}.json": pages.record_json,
        f"{record}/card.jpg": pages.card,
        f"{record}/{{place:number}}.jpg": pages.picture,
        "/compare": compare.page,
        "/compare/records/{number:number}": compare.record,
        "/static/{name}": _static,
    }
    return [Route(path, handler, methods=["GET"]) for path, handler in handlers.items()]


def _register_numbers() -> None:
    """Numbers in addresses: up to nine digits, since longer ones lead nowhere and some are none to Python."""
    from starlette.convertors import IntegerConvertor, register_url_convertor

    class Number(IntegerConvertor):
        regex = "[0-9]{1,9}"

    register_url_convertor("number", Number())


def _static(request: Request) -> Response:
    from starlette.exceptions import HTTPException
    from starlette.responses import Response

    found = served_files().get(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    named = request.query_params.get("v") == found.digest
    return Response(found.data, 200, FOR_EVER if named else {"cache-control": "no-cache"}, found.kind)


def _login_routes(frame: Frame, access: Access) -> list[Route]:
    from starlette.exceptions import HTTPException
    from starlette.responses import RedirectResponse
    from starlette.routing import Route

    def form(_: Request) -> Response:
        return frame.page("dashboard_login.html", "login", refused=False) if access.needs_token else _home()

    async def enter(request: Request) -> Response:
        client = client_of(request.scope)
        if access.overrun(client):
            raise HTTPException(429)
        given = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=4).get("token", [""])[0]
        if access.needs_token and not access.admits(given[:LONGEST_TOKEN]):
            await access.slow_down(client)
            return frame.page("dashboard_login.html", "login", refused=True, status=403)
        answer = _home()
        if access.needs_token:
            answer.headers["set-cookie"] = access.set_cookie()
        return answer

    def _home() -> RedirectResponse:
        return RedirectResponse("/", 303, NO_STORE)

    return [Route("/login", form, methods=["GET"]), Route("/login", enter, methods=["POST"])]


def _live_routes(frame: Frame, desk: LiveDesk | None) -> list[Route]:
    if desk is None:
        return []

    async def page(_: Request) -> Response:
        names = [{"number": run.number, "name": run.name, "title": run.title()} for run in frame.runs]
        only = frame.runs[0] if len(frame.runs) == 1 else None
        return frame.page("live.html", "live", run=only, heading="Ask the model", data={"runs": names})

    return list(live_routes(desk, page))


def _wants_json(request: Request) -> bool:
    path = request.url.path
    return path.endswith(".json") or "text/html" not in request.headers.get("accept", "text/html")


def _known(frame: Frame) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        if not isinstance(error, SeewhyError):
            raise error
        if _wants_json(request):
            return json_response({"error": dict(told_of(error, frame.redactor()))}, status_of(error))
        return frame.error(error)

    return answer


_STATUS = {404: "there is no such page", 429: "too many wrong tokens came from your address; try again in a second"}


def _unknown(frame: Frame) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 404)
        words = _STATUS.get(status, "this address is not asked that way")
        refusal = DashboardError("SW-W06", words, fix="start from the first page")
        if _wants_json(request):
            return json_response({"error": dict(told_of(refusal, frame.redactor()))}, status)
        answer = frame.error(refusal)
        answer.status_code = status
        return answer

    return answer


def _unexpected() -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(_: Request, error: Exception) -> Response:
        told = DashboardError(
            "SW-W07",
            f"the page met an unexpected error ({type(error).__name__}); the server goes on",
            fix="the terminal of `seewhy serve` says more; report it with what it says",
        )
        from starlette.responses import PlainTextResponse

        return PlainTextResponse(f"{told}\n", 500, NO_STORE)

    return answer
