"""The buttons."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from client_delivery.web.acting import Acting
from client_delivery.web.actions import ACTIONS, LONGEST_REASON, MOST_FILES, PAUSE, UNPAUSE, Wish
from client_delivery.web.pages import Pages, User

_EVERY = {**ACTIONS, "pause": PAUSE, "unpause": UNPAUSE}


def _wish(
    reason: Annotated[str, Form(max_length=LONGEST_REASON)] = "",
    files: Annotated[list[str] | None, Form(max_length=MOST_FILES)] = None,
    outside_window: Annotated[str, Form(pattern="^(yes)?$")] = "",
) -> Wish:
    return Wish(reason.strip(), tuple(dict.fromkeys(files or [])), outside_window == "yes")


def router(pages: Pages) -> APIRouter:
    """The endpoint of all actions."""
    routes = APIRouter()
    acting = Acting(pages.airflow, pages.data, lambda user, name: pages.key(pages.dag(user, name)))

    @routes.post("/clients/{name}/actions/{action}")
    async def act(
        request: Request, user: User, name: str, action: str, wish: Annotated[Wish, Depends(_wish)]
    ) -> Response:
        return await acting.act(request, user, _EVERY.get(action), wish, name)

    return routes
