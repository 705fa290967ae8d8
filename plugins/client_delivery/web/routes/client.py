"""One client: how it stands, its files, what is expected of it, and what it did by months."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from client_delivery.ledger.history import MOST, in_words
from client_delivery.run.questions import QUESTIONS
from client_delivery.runtime.settings import setting
from client_delivery.web import shown
from client_delivery.web.actions import PAUSE, UNPAUSE
from client_delivery.web.data import Data, is_held
from client_delivery.web.pages import Pages, Question, User, Words, table
from client_delivery.web.people import people
from client_delivery.web.standing import row_of


def router(pages: Pages) -> APIRouter:
    """The client's endpoints."""
    routes = APIRouter(prefix="/clients/{name}")

    @routes.get("")
    def client(request: Request, user: User, name: str, question: Question) -> Response:
        answer = request.query_params.get("answer", "")
        dag, data = pages.dag(user, name), pages.data()
        key = pages.key(dag, data)
        page = data.outcomes(key, question)
        in_hand = data.in_hand(key) if key else []
        held = [entry for entry in in_hand if is_held(entry)]
        narrow = {name: value for name, value in question.items() if value and name != "after"}
        return pages.html(
            request,
            "client.html",
            dag=dag,
            row=row_of(dag, data.standing(name), shown.now()),
            standing=data.standing(name),
            look_seconds=setting("arrival_seconds"),
            key=key,
            under_way=[entry for entry in in_hand if not is_held(entry)],
            held=[entry for entry in held if not entry.guarded],
            guarded=[entry for entry in held if entry.guarded],
            expected=data.expected(key),
            page=page,
            question=question,
            query=urlencode(narrow),
            older=urlencode({**narrow, "after": page.next}) if page.next else "",
            actions=pages.actions(user, name),
            triggered=request.query_params.get("triggered", ""),
            answer=answer if answer in QUESTIONS.values() else "",
        )

    @routes.get("/files.{kind}")
    def files_table(user: User, name: str, kind: str, question: Question) -> Response:
        dag = pages.dag(user, name)
        page = pages.data().outcomes(pages.key(dag), question, limit=MOST)
        response = table(kind, name, [in_words(one) for one in page.found])
        if page.next:
            response.headers["X-Next"] = urlencode({**question, "after": page.next})
        return response

    @routes.get("/before")
    def before(request: Request, user: User, name: str, after: Words = "") -> Response:
        dag, data = pages.dag(user, name), pages.data()
        key = pages.key(dag, data)
        entries, more = data.before_the_record(key, after)
        older = urlencode({"after": more}) if more else ""
        return pages.html(request, "before.html", dag=dag, key=key, entries=entries, older=older)

    @routes.get("/about")
    async def about(request: Request, user: User, name: str, after: Words = "") -> Response:
        dag, data = await run_in_threadpool(pages.dag, user, name), pages.data()
        key = await run_in_threadpool(pages.key, dag, data)
        changes, older = await run_in_threadpool(data.changes, name, after)
        return pages.html(
            request,
            "about.html",
            dag=dag,
            key=key,
            months=await run_in_threadpool(data.months, key, shown.now()),
            people=await _people(pages, request, data, key, name),
            configuration=shown.markdown(await pages.airflow.words(request, name)),
            changes=changes,
            newest=not after,
            older=urlencode({"after": older}) if older else "",
            query=urlencode({"after": after}) if after else "",
            pausing=UNPAUSE if dag.paused else PAUSE,
            may_pause=await run_in_threadpool(pages.airflow.may_pause, user, name),
        )

    @routes.get("/months.{kind}")
    def months_table(user: User, name: str, kind: str) -> Response:
        key = pages.key(pages.dag(user, name))
        return table(kind, f"{name}_months", [asdict(one) for one in pages.data().months(key, shown.now())])

    @routes.get("/people.{kind}")
    async def people_table(request: Request, user: User, name: str, kind: str) -> Response:
        dag, data = await run_in_threadpool(pages.dag, user, name), pages.data()
        key = await run_in_threadpool(pages.key, dag, data)
        return table(kind, f"{name}_people", [asdict(one) for one in await _people(pages, request, data, key, name)])

    @routes.get("/changes.{kind}")
    def changes_table(user: User, name: str, kind: str, after: Words = "") -> Response:
        pages.dag(user, name)
        changes, older = pages.data().changes(name, after)
        found = [
            {"at": change.at, "run": change.run, **asdict(one)} for change in changes for one in change.differences
        ]
        response = table(kind, f"{name}_changes", found)
        if older:
            response.headers["X-Next"] = urlencode({"after": older})
        return response

    @routes.get("/expected.{kind}")
    def expected_table(user: User, name: str, kind: str) -> Response:
        key = pages.key(pages.dag(user, name))
        return table(kind, f"{name}_expected", [one.in_words() for one in pages.data().expected(key)])

    return routes


async def _people(pages: Pages, request: Request, data: Data, key: str, name: str) -> list[Any]:
    events = await pages.airflow.events(request, name)
    return people(await run_in_threadpool(data.acts, key), events, name)
