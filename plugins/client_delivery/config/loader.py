"""Configuration files: one by one, and a directory of them with what may only be there once (R2.6, R2.7)."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from pydantic import ValidationError

from client_delivery.config.credentials import refuse_credentials
from client_delivery.config.diagnosis import report_empty, report_refusals
from client_delivery.config.document import Document, parse
from client_delivery.config.key_files import read_key_files
from client_delivery.config.model import ClientConfig
from client_delivery.config.names import key_of
from client_delivery.config.neighbours import Since, conflicts
from client_delivery.config.problem import ConfigError, Problem, quoted, visible, write
from client_delivery.config.timing import Timing, timing_of

MAX_FILE_BYTES = 64 * 1024
"""A configuration has some 2 KiB. What is larger is not one, and is not read."""
MAX_DAG_ID_CHARACTERS = 200

Rule = Callable[[ClientConfig, Document], None]
"""What an environment asks for beyond the model: it reports what is wrong to the document."""


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """What became of one file: a configuration or an error, and the id of its DAG in either case (R2.6)."""

    dag_id: str
    path: Path
    config: ClientConfig | None
    error: ConfigError | None
    timing: Timing | None = None
    """Of a wrong file: when it is due, as far as the file says so; None where that cannot be read."""
    delivery_key: str | None = None
    """Of a wrong file: whose it is, as far as the file says so."""


def load_file(path: Path) -> ClientConfig:
    """The configuration in the file at ``path``, whose stem is its name.

    Raises :class:`ConfigError` with everything that is wrong with it.
    """
    return _load(path)[0]


def load_directory(
    directory: Path, rules: Sequence[Rule] = (), since: Since = lambda config, claim: None
) -> list[LoadedConfig]:
    """Every configuration file directly in ``directory``, in the order of their DAG ids.

    A file that is wrong, or at odds with another one (R2.7) or with one of the ``rules``, is in the result with its
    error. ``since`` knows which of two files was there first (:data:`client_delivery.config.neighbours.Since`). Hidden
    files, subdirectories and files with other endings are not configurations.

    Raises :class:`OSError` if the directory itself cannot be listed.
    """
    paths = sorted(path for path in directory.iterdir() if _is_candidate(path))
    loaded: dict[Path, tuple[ClientConfig, Document]] = {}
    errors: dict[Path, ConfigError] = {}
    for path in paths:
        try:
            _refuse_link_out_of(directory, path)
            loaded[path] = _load(path)
        except ConfigError as error:
            errors[path] = error
    for config, document in loaded.values():
        for rule in rules:
            rule(config, document)
    errors |= conflicts(loaded, since)
    dag_ids = _dag_ids(paths)
    return sorted(
        (
            LoadedConfig(dag_ids[path], path, None, errors[path], *_as_far_as_it_says(path))
            if path in errors
            else LoadedConfig(dag_ids[path], path, loaded[path][0], None)
            for path in paths
        ),
        key=lambda item: item.dag_id,
    )


def _as_far_as_it_says(path: Path) -> tuple[Timing | None, str | None]:
    try:
        fields = parse(_read(path), path.name).data
    except ConfigError:
        return None, None
    return timing_of(fields), key_of(fields)


def _is_candidate(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix.lower() in (".yaml", ".yml")


def _load(path: Path) -> tuple[ClientConfig, Document]:
    if path.suffix != ".yaml":
        raise _refuse(
            path, f"a file that ends with {quoted(path.suffix)}", "'.yaml'", f"Rename it to {visible(path.stem)}.yaml."
        )
    document = parse(_read(path), _shown_path(path))
    read_key_files(document, path.parent)
    refuse_credentials(document)
    report_empty(document)
    config = None
    try:
        config = ClientConfig.model_validate(document.data)
    except ValidationError as error:
        report_refusals(document, error)
    _check_name(document, path.stem)
    if document.problems or config is None:
        raise ConfigError(document.problems, document.omitted)
    return config, document


def _read(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a directory" if stat.S_ISDIR(mode) else "something that is not a file"
            raise _refuse(path, kind, "a file", "Remove it, or give it a name without '.yaml'.")
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        found = f"a file that cannot be read ({error.strerror})"
        raise _refuse(path, found, "a readable file", "Check its permissions, or where the link leads.") from None
    if len(raw) > MAX_FILE_BYTES:
        raise _refuse(
            path,
            f"a file of more than {MAX_FILE_BYTES // 1024} KiB",
            "a configuration of a few KiB",
            "Is this a file to be delivered? Those belong in the pick-up.",
        )
    return raw


def _check_name(document: Document, stem: str) -> None:
    name = document.data.get("name")
    reported = any(problem.field == "name" for problem in document.problems)
    if not isinstance(name, str) or name == stem or reported:
        return
    rename = f"rename the file to {name}.yaml"
    usable = re.fullmatch("[a-z][a-z0-9_]{0,99}", stem)
    hint = f"{write(stem)[:-1]}, or {rename}." if usable else f"{rename.capitalize()}."
    document.report(("name",), quoted(name), f"the file's name, {quoted(stem)}", hint)


def _refuse_link_out_of(directory: Path, path: Path) -> None:
    # realpath, because Path.resolve() raises for a link that leads to itself
    if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(directory)):
        raise _refuse(path, "a link that leads out of the directory", "a file", "Put the file itself here.")


def _refuse(path: Path, found: str, expected: str, hint: str) -> ConfigError:
    return ConfigError([Problem(_shown_path(path), 1, 1, "", found, expected, hint)])


def _shown_path(path: Path) -> str:
    return visible(os.fsencode(path).decode("utf-8", "backslashreplace"))


def _dag_ids(paths: Iterable[Path]) -> dict[Path, str]:
    """An id for each file that Airflow accepts and no other file has.

    It is the file's name without its ending wherever possible; files whose names are as they should be come first, so
    that a stray neighbour never changes the id of a good one.
    """
    ids: dict[Path, str] = {}
    taken: set[str] = set()

    def strangeness(path: Path) -> tuple[bool, bool, str]:
        return path.suffix != ".yaml", _safe(path.stem) != path.stem, path.name

    for path in sorted(paths, key=strangeness):
        whole_name = _safe(path.name)
        numbered = (f"{whole_name[: MAX_DAG_ID_CHARACTERS - 10]}.{n}" for n in count(2))
        wanted = chain([_safe(path.stem), whole_name], numbered)
        ids[path] = next(dag_id for dag_id in wanted if dag_id not in taken)
        taken.add(ids[path])
    return ids


def _safe(name: str) -> str:
    return re.sub("[^A-Za-z0-9_.-]", "_", name)[:MAX_DAG_ID_CHARACTERS]
