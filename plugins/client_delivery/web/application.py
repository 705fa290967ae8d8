"""The Deliveries page: server-rendered pages inside Airflow's web server (R10, docs/decisions/0026).

Airflow does not protect a plugin's endpoints: each of them asks :class:`~client_delivery.web.access.Airflow` who comes
and what they may see. Nothing is written to disk, and nothing is asked but the ledger and Airflow itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as AnyHTTPException

from client_delivery.ledger.entry import Status
from client_delivery.ledger.history import MOST, in_words
from client_delivery.ledger.record import DISMISSED, Recorded
from client_delivery.notify.csv_table import csv_table
from client_delivery.web import progress, shown
from client_delivery.web.access import Airflow, Dag
from client_delivery.web.acting import Acting
from client_delivery.web.actions import ACTIONS, LONGEST_REASON, MOST_FILES, PAUSE, UNPAUSE, Action
from client_delivery.web.data import Data, Life, is_held
from client_delivery.web.people import people
from client_delivery.web.standing import Row, State, row_of, rows
from client_delivery.web.timeline import timeline

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = "/deliveries"
"""Where Airflow mounts the page."""
_HERE = Path(__file__).parent
_POLICY = (
    "default-src 'none'; connect-src 'self'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'self'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_STATIC = {"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8"}
_MOST_ROWS = 2_000

Words = Annotated[str, Query(max_length=2_000)]


def _question(
    status: Annotated[str, Query(pattern="^(success|fail|dismissed)?$")] = "",
    since: Words = "",
    until: Words = "",
    begins: Words = "",
    after: Words = "",
) -> dict[str, str]:
    return {"status": status, "since": since, "until": until, "begins": begins, "after": after}


def _wish(
    reason: Annotated[str, Form(max_length=LONGEST_REASON)] = "",
    files: Annotated[list[str] | None, Form(max_length=MOST_FILES)] = None,
) -> tuple[str, list[str]]:
    return reason.strip(), list(dict.fromkeys(files or []))


async def _user(request: Request) -> Any:
    return await request.app.state.airflow.user(request)


User = Annotated[Any, Depends(_user)]
Question = Annotated[dict[str, str], Depends(_question)]
Wish = Annotated[tuple[str, list[str]], Depends(_wish)]


def application(airflow: Airflow | None = None, data: Callable[[], Data] = Data) -> ASGIApp:
    """What Airflow mounts."""
    return _Mounted(_Page(airflow or Airflow(), data).app)


class _Mounted:
    """Remembers the application around it, for Airflow's own API is called there."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["airflow_app"] = scope.get("app")
        await self.app(scope, receive, send)


class _Page:
    """The endpoints."""

    def __init__(self, airflow: Airflow, data: Callable[[], Data]) -> None:
        self._airflow = airflow
        self._data = data
        self._acting = Acting(airflow, data, lambda user, name: self._key(self._dag(user, name)))
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            # A name that a template no longer knows is an error, not nothing: a button would act on nothing.
            undefined=StrictUndefined,
        )
        self._templates.globals.update(shown=shown, State=State, PREFIX=PREFIX, progress=progress)

        # Every endpoint, also the style sheet, is for those who are signed in.
        self.app = app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(_user)])
        app.state.airflow = airflow
        app.middleware("http")(_with_headers)
        app.exception_handler(AnyHTTPException)(self._refusal)

        @app.get("/")
        def board(request: Request, user: User, q: Words = "", show: str = "") -> Response:
            return self.board(request, user, q.strip(), show)

        @app.get("/board.{kind}")
        def board_table(user: User, kind: str, q: Words = "", show: str = "") -> Response:
            found = self._filtered(self._rows(user), q.strip(), show)
            return _table(kind, "board", [row.in_words() for row in found])

        @app.get("/search.{kind}")
        def search_table(user: User, kind: str, q: Words = "") -> Response:
            return _table(kind, "search", [in_words(one) for one in self._anywhere(user, q.strip())])

        @app.get("/clients/{name}")
        def client(
            request: Request,
            user: User,
            name: str,
            question: Question,
        ) -> Response:
            return self.client(request, user, name, question)

        @app.get("/clients/{name}/files.{kind}")
        def client_table(
            user: User,
            name: str,
            kind: str,
            question: Question,
        ) -> Response:
            dag = self._dag(user, name)
            page = self._data().outcomes(self._key(dag), question, limit=MOST)
            answer = _table(kind, name, [in_words(one) for one in page.found])
            if page.next:
                answer.headers["X-Next"] = urlencode({**question, "after": page.next})
            return answer

        @app.get("/clients/{name}/file")
        def file(request: Request, user: User, name: str, file: Words, entry: Words = "") -> Response:
            return self.file(request, user, name, file, entry)

        @app.get("/clients/{name}/before")
        def before(request: Request, user: User, name: str, after: Words = "") -> Response:
            dag, data = self._dag(user, name), self._data()
            key = self._key(dag, data)
            entries, more = data.before_the_record(key, after)
            older = urlencode({"after": more}) if more else ""
            return self._html(request, "before.html", dag=dag, key=key, entries=entries, older=older)

        @app.get("/clients/{name}/again")
        def again(request: Request, user: User, name: str, question: Question, run_id: Words = "") -> Response:
            return self.again(request, user, name, question, run_id)

        @app.get("/clients/{name}/about")
        async def about(request: Request, user: User, name: str) -> Response:
            return await self.about(request, user, name)

        @app.get("/runs/{name}")
        def run(request: Request, user: User, name: str, run_id: Words) -> Response:
            return self.run(request, user, name, run_id)

        @app.post("/clients/{name}/actions/{action}")
        async def act(
            request: Request,
            user: User,
            name: str,
            action: str,
            wish: Wish,
        ) -> Response:
            return await self._acting.act(
                request, user, {**ACTIONS, "pause": PAUSE, "unpause": UNPAUSE}.get(action), wish, name
            )

        @app.get("/static/{name}")
        def static(name: str) -> Response:
            if name not in _STATIC:
                raise HTTPException(404, "There is no such file.")
            return Response((_HERE / "static" / name).read_bytes(), media_type=_STATIC[name])

    # -- pages -------------------------------------------------------------------------------------------------------

    def board(self, request: Request, user: Any, words: str, show: str) -> Response:
        """All clients that the user may see; with words, what they find."""
        every = self._rows(user)
        found = self._filtered(every, words, show)
        return self._html(
            request,
            "board.html",
            rows=found[:_MOST_ROWS],
            all=len(every),
            need=sum(row.state.needs_a_person for row in every),
            words=words,
            show=show,
            far=self._data().how_far(row.delivery_key for row in found[:_MOST_ROWS] if row.state is State.UNDER_WAY),
            files=self._anywhere(user, words) if words else [],
            names={row.delivery_key: row.name for row in every},
            query=urlencode({"q": words, "show": show}),
        )

    def client(self, request: Request, user: Any, name: str, question: Mapping[str, str]) -> Response:
        """One client: how it stands, and its files."""
        dag, data = self._dag(user, name), self._data()
        key = self._key(dag, data)
        page = data.outcomes(key, question)
        in_hand = data.in_hand(key) if key else []
        narrow = {name: value for name, value in question.items() if value and name != "after"}
        return self._html(
            request,
            "client.html",
            dag=dag,
            row=row_of(dag, data.standing(name), shown.now()),
            standing=data.standing(name),
            key=key,
            under_way=[entry for entry in in_hand if not is_held(entry)],
            held=[entry for entry in in_hand if is_held(entry)],
            page=page,
            question=question,
            query=urlencode(narrow),
            older=urlencode({**narrow, "after": page.next}) if page.next else "",
            actions=self._actions(user, name),
            triggered=request.query_params.get("triggered", ""),
        )

    def file(self, request: Request, user: Any, name: str, file: str, entry: str) -> Response:
        """One file's whole life."""
        dag, data = self._dag(user, name), self._data()
        key = self._key(dag, data)
        life = data.file(key, file, entry)
        if not (life.recorded or life.entries):
            raise HTTPException(404, "Nothing is known of a file of this name; the search on the board finds others.")
        return self._html(
            request,
            "file.html",
            dag=dag,
            key=key,
            file=file,
            events=timeline(life.recorded, life.entries, life.mails),
            last=last_of(life),
            contents=list(
                {one.entry: None for one in reversed(life.recorded)} or {e.identity: None for e in life.entries}
            ),
            held=[entry.identity for entry in life.entries if is_held(entry) or entry.wanted],
            under_way=[entry for entry in life.entries if entry.status is Status.PROCESSING],
            actions=self._actions(user, name),
        )

    def again(self, request: Request, user: Any, name: str, question: Mapping[str, str], run_id: str) -> Response:
        """What would be sent again of a run or a period, to be confirmed with a reason."""
        dag, data = self._dag(user, name), self._data()
        key = self._key(dag, data)
        if not self._airflow.may_trigger(user, name):
            raise HTTPException(403, "Airflow does not let you trigger this DAG.")
        if run_id:
            chosen = data.of_whole_run(key, run_id)
        elif any(question[field] for field in ("since", "until", "begins")):
            chosen = data.chosen(key, question)
        else:
            raise HTTPException(422, "Say of which period, or what the names begin with.")
        return self._html(
            request,
            "again.html",
            dag=dag,
            key=key,
            chosen=chosen,
            run_id=run_id,
            question=question,
            action=ACTIONS["send-again"],
            most=MOST_FILES,
        )

    def run(self, request: Request, user: Any, name: str, run_id: str) -> Response:
        """What one run has, or last had, in hand."""
        dag, data = self._dag(user, name), self._data()
        key = self._key(dag, data)
        entries = data.of_run(key, name, run_id) if key else []
        actions = self._actions(user, name)
        query = urlencode({"run_id": run_id})
        return self._html(
            request, "run.html", dag=dag, key=key, run_id=run_id, entries=entries, actions=actions, query=query
        )

    async def about(self, request: Request, user: Any, name: str) -> Response:
        """One client by months, who did what, and its configuration in words."""
        dag = await run_in_threadpool(self._dag, user, name)
        data = self._data()
        key = await run_in_threadpool(self._key, dag, data)
        events = await self._airflow.events(request, name)
        acts = await run_in_threadpool(data.acts, key)
        return self._html(
            request,
            "about.html",
            dag=dag,
            key=key,
            months=await run_in_threadpool(data.months, key, shown.now()),
            people=people(acts, events, name),
            configuration=shown.markdown(await self._airflow.words(request, name)),
            pausing=PAUSE if not dag.paused else UNPAUSE,
            may_pause=await run_in_threadpool(self._airflow.may_pause, user, name),
        )

    # -- what the user may see ---------------------------------------------------------------------------------------

    def _rows(self, user: Any) -> list[Row]:
        return rows(self._airflow.dags(user).values(), self._data().standings())

    def _dag(self, user: Any, name: str) -> Dag:
        dag = self._airflow.dags(user, only=[name]).get(name)
        if dag is None:
            # The same for what there is not and what the user may not see.
            raise HTTPException(404, "There is no such client, or you may not see it.")
        return dag

    def _actions(self, user: Any, name: str) -> dict[str, Action]:
        return ACTIONS if self._airflow.may_trigger(user, name) else {}

    def _key(self, dag: Dag, data: Data | None = None) -> str:
        return dag.delivery_key or (data or self._data()).standing(dag.dag_id).delivery_key

    def _anywhere(self, user: Any, words: str) -> list[Any]:
        if not words:
            return []
        may = {row.delivery_key for row in self._rows(user)}
        return [one for one in self._data().anywhere(words) if one.delivery_key in may]

    @staticmethod
    def _filtered(found: list[Row], words: str, show: str) -> list[Row]:
        if show == "needs":
            found = [row for row in found if row.state.needs_a_person]
        elif show:
            found = [row for row in found if row.state.value == show]
        if not words:
            return found
        like = words.casefold()
        return [row for row in found if any(like in text.casefold() for text in (row.name, row.delivery_key))]

    # -- answers -----------------------------------------------------------------------------------------------------

    def _html(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        base = request.scope.get("root_path", "")
        text = self._templates.get_template(template).render(
            base=base, airflow=base.removesuffix(PREFIX), urlencode=urlencode, **values
        )
        # A lone surrogate in a name has no UTF-8.
        return HTMLResponse(text.encode(errors="backslashreplace"), status)

    async def _refusal(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, AnyHTTPException)  # noqa: S101 - for the type
        return self._html(request, "refusal.html", error.status_code, error=error)


async def _with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def last_of(life: Life) -> Recorded | None:
    """What is known of the content that had the name last."""
    recorded = [one for one in life.recorded if one.status != DISMISSED]
    recorded += [Recorded.of(entry, attempts=entry.send_attempts) for entry in life.entries if not recorded]
    return recorded[-1] if recorded else None


def _table(kind: str, name: str, found: list[dict[str, Any]]) -> Response:
    """CSV that a spreadsheet shows and does not compute, or JSON."""
    if kind == "json":
        return JSONResponse(found)
    if kind != "csv":
        raise HTTPException(404, "There is CSV and JSON.")
    header = list(found[0]) if found else []
    body, _ = csv_table(header, [[str(value) if value is not None else "" for value in one.values()] for one in found])
    safe = "".join(char for char in name if char.isascii() and (char.isalnum() or char in "_-"))
    headers = {"Content-Disposition": f'attachment; filename="{safe}.csv"'}
    return Response(body, media_type="text/csv; charset=utf-8", headers=headers)
