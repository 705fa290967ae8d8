"""One file's life, one run's files, and what would be sent again of a run or a period."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from client_delivery.ledger.entry import Status
from client_delivery.ledger.history import in_words
from client_delivery.ledger.record import DISMISSED, Recorded
from client_delivery.web.actions import ACTIONS, MOST_FILES
from client_delivery.web.data import Life, is_held
from client_delivery.web.pages import Pages, Question, User, Words, table
from client_delivery.web.timeline import timeline


def router(pages: Pages) -> APIRouter:
    """The endpoints of files and runs."""
    routes = APIRouter()

    @routes.get("/clients/{name}/file")
    def file(request: Request, user: User, name: str, file: Words, entry: Words = "") -> Response:
        dag, data = pages.dag(user, name), pages.data()
        key = pages.key(dag, data)
        life = _known(data.file(key, file, entry))
        return pages.html(
            request,
            "file.html",
            dag=dag,
            key=key,
            file=file,
            standing=data.standing(name),
            events=timeline(life.recorded, life.entries, life.mails, life.acknowledged),
            last=last_of(life),
            contents=list(
                {one.entry: None for one in reversed(life.recorded)} or {e.identity: None for e in life.entries}
            ),
            guarded=any(is_held(entry) and entry.guarded for entry in life.entries),
            held=[entry.identity for entry in life.entries if is_held(entry) or entry.wanted],
            under_way=[entry for entry in life.entries if entry.status is Status.PROCESSING],
            actions=pages.actions(user, name),
            same={"file": file.encode(errors="surrogatepass"), **({"entry": entry} if entry else {})},
        )

    @routes.get("/clients/{name}/life.{kind}")
    def life_table(user: User, name: str, kind: str, file: Words, entry: Words = "") -> Response:
        dag, data = pages.dag(user, name), pages.data()
        life = _known(data.file(pages.key(dag, data), file, entry))
        return table(
            kind,
            f"{name}_file",
            [asdict(e) for e in timeline(life.recorded, life.entries, life.mails, life.acknowledged)],
        )

    @routes.get("/clients/{name}/again")
    def again(request: Request, user: User, name: str, question: Question, run_id: Words = "") -> Response:
        dag, data = pages.dag(user, name), pages.data()
        key = pages.key(dag, data)
        if not pages.airflow.may_trigger(user, name):
            raise HTTPException(403, "Airflow does not let you trigger this DAG.")
        if run_id:
            chosen = data.of_whole_run(key, run_id)
        elif any(question[field] for field in ("since", "until", "begins")):
            chosen = data.chosen(key, question)
        else:
            raise HTTPException(422, "Give a period, or the beginning of the names.")
        return pages.html(
            request,
            "again.html",
            dag=dag,
            key=key,
            standing=data.standing(name),
            chosen=chosen,
            run_id=run_id,
            question=question,
            action=ACTIONS["send-again"],
            most=MOST_FILES,
        )

    @routes.get("/runs/{name}")
    def run(request: Request, user: User, name: str, run_id: Words) -> Response:
        dag, data = pages.dag(user, name), pages.data()
        key = pages.key(dag, data)
        entries = data.of_run(key, name, run_id) if key else []
        return pages.html(
            request,
            "run.html",
            dag=dag,
            key=key,
            run_id=run_id,
            entries=entries,
            sets=data.sets_of(entries),
            actions=pages.actions(user, name),
            same={"run_id": run_id},
        )

    @routes.get("/runs/{name}/files.{kind}")
    def run_table(user: User, name: str, kind: str, run_id: Words) -> Response:
        dag, data = pages.dag(user, name), pages.data()
        key = pages.key(dag, data)
        entries = data.of_run(key, name, run_id) if key else []
        return table(kind, f"{name}_run", [in_words(Recorded.of(e, attempts=e.send_attempts)) for e in entries])

    return routes


def last_of(life: Life) -> Recorded | None:
    """What is known of the content that had the name last."""
    recorded = [one for one in life.recorded if one.status != DISMISSED]
    recorded += [Recorded.of(entry, attempts=entry.send_attempts) for entry in life.entries if not recorded]
    return recorded[-1] if recorded else None


def _known(life: Life) -> Life:
    if not (life.recorded or life.entries):
        raise HTTPException(404, "No file of this name is known. Search on the board for others.")
    return life
