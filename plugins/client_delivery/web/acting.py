"""What the buttons do: a run of the client's DAG, or Airflow's own switch, as the user who presses them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from fastapi import HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from client_delivery.ledger.acts import Act
from client_delivery.ledger.entry import now
from client_delivery.web import progress, shown
from client_delivery.web.access import Airflow, Refused
from client_delivery.web.actions import PAUSE, UNPAUSE, Action, Wish
from client_delivery.web.data import Data, is_held


class Acting:
    """Carries out one action.

    :param key_of: the delivery key of a client that the user may see. Raises HTTPException 404.
    """

    def __init__(self, airflow: Airflow, data: Callable[[], Data], key_of: Callable[[Any, str], str]) -> None:
        self._airflow = airflow
        self._data = data
        self._key_of = key_of

    async def act(self, request: Request, user: Any, action: Action | None, wish: Wish, name: str) -> Response:
        """Begin a run that does what was asked, as the user who asks; the reason becomes its note."""
        _refuse_other_sites(request)
        await run_in_threadpool(self._key_of, user, name)
        reason = wish.reason
        if action is None:
            raise HTTPException(404, "There is no such action.")
        if not reason:
            raise HTTPException(422, "Give a reason: it is kept in the record.")
        if action in (PAUSE, UNPAUSE):
            return await self._pause(request, user, name, action, reason)
        if not await run_in_threadpool(self._airflow.may_trigger, user, name):
            raise HTTPException(403, "Airflow does not let you trigger this DAG.")
        if action.of_files and not wish.files:
            raise HTTPException(422, "Choose the files first.")
        try:
            # Airflow tells its tasks the run's parameters and not its note (3.2.1): the record has it from there.
            note = f"{action.title}: {reason}"
            run_id = await self._airflow.trigger(request, name, {**action.params(wish), "reason": note}, note)
        except Refused as error:
            raise HTTPException(409, str(error)) from None
        query = {"triggered": run_id} | ({"answer": action.answer} if action.answer else {})
        return RedirectResponse(_at(request, f"/clients/{quote(name)}?{urlencode(query)}"), 303)

    async def _pause(self, request: Request, user: Any, name: str, action: Action, reason: str) -> Response:
        """Pause a client's DAG, or unpause it.

        Airflow starts no further task of a paused DAG, not even of a run that is under way. So a client is not paused
        during a run.
        """
        if not await run_in_threadpool(self._airflow.may_pause, user, name):
            raise HTTPException(403, "Airflow does not let you pause this DAG.")
        data = self._data()
        key = await run_in_threadpool(self._key_of, user, name)
        try:
            if action is PAUSE and await self._airflow.runs_under_way(request, name):
                entries = await run_in_threadpool(data.in_hand, key) if key else []
                far = progress.of_all(entry for entry in entries if not is_held(entry))
                left = f" for about another {shown.lasting(far.left)}" if far.left else ""
                raise HTTPException(
                    409,
                    f"A run is under way and has {shown.size(far.size)} in hand{left}. Pausing now would freeze it in "
                    "the middle, so nothing was changed. Pause when it has ended.",
                )
            await self._airflow.pause(request, name, paused=action is PAUSE)
        except Refused as error:
            raise HTTPException(409, str(error)) from None
        what = "paused the DAG" if action is PAUSE else "unpaused the DAG"
        act = Act(now(), what, "", self._airflow.name_of(user), reason)
        await run_in_threadpool(data.note_act, key, act)
        return RedirectResponse(_at(request, f"/clients/{quote(name)}/about"), 303)


def _refuse_other_sites(request: Request) -> None:
    """Only the page's own forms act: the cookie alone does not say that the user meant it.

    Browsers say where a request comes from in ``Sec-Fetch-Site`` (Fetch Metadata Request Headers, W3C), and all of them
    send ``Origin`` with a POST; what says neither is refused.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        ours = site == "same-origin"
    else:
        ours = origin is not None and urlsplit(origin).netloc == request.headers.get("host")
    if not ours:
        raise HTTPException(403, "This request did not come from the Deliveries page.")


def _at(request: Request, path: str) -> str:
    return str(request.scope.get("root_path", "")) + path
