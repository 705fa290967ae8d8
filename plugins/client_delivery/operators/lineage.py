"""A delivery as reported to OpenLineage: from where, to where, how much (R7).

Imported only when the OpenLineage provider asks: without the provider it costs nothing, and needs nothing.
Places and files are named as OpenLineage asks (https://openlineage.io/docs/spec/naming) and as Airflow's own transfers
do, so that the graphs of both meet: ``s3://bucket`` and the key, ``gs://bucket`` and the object, ``file://host:port``
and the path (``SFTPOperator`` and ``GCSToSFTPOperator``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.openlineage.facet import Dataset, OutputDataset, OutputStatisticsOutputDatasetFacet
from airflow.providers.openlineage.extractors import OperatorLineage

if TYPE_CHECKING:
    from client_delivery.config.model import ClientConfig
    from client_delivery.ledger.entry import Entry

MOST_FILES = 20
"""Of more files none is a dataset of its own: a backend keeps each dataset for ever, and files are different each day.
The two places always are, so that a client's graph is the same from run to run."""
_SSH_PORT = 22


def lineage_of(config: ClientConfig | None, delivered: Sequence[Entry]) -> OperatorLineage[Any, Any]:
    """At most ``MOST_FILES`` + 1 inputs and as many outputs; none if nothing was delivered.

    File names are untrusted: they are the names of datasets, and nothing else.

    :param config: what the run went by; None if nobody knew.
    :param delivered: what was delivered, and nothing that was not.
    """
    if config is None or not delivered:
        return OperatorLineage()
    size = sum(entry.size if entry.delivered_size is None else entry.delivered_size for entry in delivered)
    statistics = OutputStatisticsOutputDatasetFacet(size=size, fileCount=len(delivered))
    source = _place(f"s3://{config.pickup.bucket}/{config.pickup.prefix}")
    target = _place(config.destination.uri)
    inputs = [Dataset(*source)]
    outputs = [OutputDataset(*target, outputFacets={"outputStatistics": statistics})]
    if len(delivered) <= MOST_FILES:
        absolute = target[1].startswith("/")
        inputs += [Dataset(*_named(entry.file_path)) for entry in delivered]
        outputs += [OutputDataset(*_named(entry.delivered_to, absolute)) for entry in delivered if entry.delivered_to]
    return OperatorLineage(inputs=inputs, outputs=outputs)


def _place(uri: str) -> tuple[str, str]:
    """A bucket's prefix or a directory: namespace and name, ``/`` for all of it."""
    namespace, name = _named(uri, absolute=True)
    if namespace.startswith("file://"):
        # A path that is relative to the login directory stays so, as in Airflow's own transfers.
        relative = name == "/~" or name.startswith("/~/")
        name = name.removeprefix("/~").strip("/") if relative else f"/{name.strip('/')}"
        return namespace, name or "."
    return namespace, name.strip("/") or "/"


def _named(uri: str, absolute: bool = False) -> tuple[str, str]:
    """Namespace and name of what is at a URI of ours, which is not escaped: a file may be called ``a?b#c``.

    :param absolute: on a server, whether the path begins at its root; else at the login directory.
    """
    scheme, _, rest = uri.partition("://")
    authority, _, path = rest.partition("/")
    path = path.encode("utf-8", "backslashreplace").decode()  # JSON in UTF-8 has no lone surrogates
    if scheme != "sftp":
        return f"{scheme}://{authority}", path
    host = authority.rpartition("@")[2]  # whose account it is says nothing of where a file is
    _, colon, port = host.rpartition(":")
    if not (colon and port.isdigit()):
        host = f"{host}:{_SSH_PORT}"
    return f"file://{host}", f"/{path}" if absolute else path
