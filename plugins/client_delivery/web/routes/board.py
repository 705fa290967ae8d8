"""All clients that the user may see, and the search over them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from client_delivery.ledger.history import in_words
from client_delivery.ledger.record import Recorded
from client_delivery.web.pages import Pages, User, Words, table
from client_delivery.web.standing import Row, State

_MOST_ROWS = 2_000


def router(pages: Pages) -> APIRouter:
    """The board's endpoints."""
    routes = APIRouter()

    @routes.get("/")
    def board(request: Request, user: User, q: Words = "", show: str = "") -> Response:
        words, every = q.strip(), pages.rows(user)
        found = _filtered(every, words, show)[:_MOST_ROWS]
        return pages.html(
            request,
            "board.html",
            rows=found,
            all=len(every),
            need=sum(row.state.needs_a_person for row in every),
            words=words,
            show=show,
            far=pages.data().how_far(row.delivery_key for row in found if row.state is State.UNDER_WAY),
            files=_anywhere(pages, user, words) if words else [],
            names={row.delivery_key: row.name for row in every},
            query=urlencode({"q": words, "show": show}),
        )

    @routes.get("/board.{kind}")
    def board_table(user: User, kind: str, q: Words = "", show: str = "") -> Response:
        return table(kind, "board", [row.in_words() for row in _filtered(pages.rows(user), q.strip(), show)])

    @routes.get("/search.{kind}")
    def search_table(user: User, kind: str, q: Words = "") -> Response:
        return table(kind, "search", [in_words(one) for one in _anywhere(pages, user, q.strip())])

    return routes


def _anywhere(pages: Pages, user: Any, words: str) -> list[Recorded]:
    if not words:
        return []
    may = {row.delivery_key for row in pages.rows(user)}
    return [one for one in pages.data().anywhere(words) if one.delivery_key in may]


def _filtered(found: list[Row], words: str, show: str) -> list[Row]:
    if show == "needs":
        found = [row for row in found if row.state.needs_a_person]
    elif show:
        found = [row for row in found if row.state.value == show]
    if not words:
        return found
    like = words.casefold()
    return [row for row in found if any(like in text.casefold() for text in (row.name, row.delivery_key))]
