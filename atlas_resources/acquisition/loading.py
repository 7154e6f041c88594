"""What an index asks for. An index is a table, or a IIIF manifest or collection, on disk or by its address."""

from pathlib import Path

from atlas_resources.acquisition.iiif import MAX_DOCUMENT_BYTES, walk
from atlas_resources.acquisition.iiif_document import IiifBroken, is_iiif
from atlas_resources.acquisition.index_file import read_index_file
from atlas_resources.acquisition.wanted import WantedScans
from atlas_resources.downloads.addresses import is_address, require_address
from atlas_resources.downloads.client import Visit, open_session
from atlas_resources.downloads.errors import DownloadFailed, Stopped
from atlas_resources.files.regular import read_regular
from atlas_resources.plates.intake.index.table import IndexBroken


def load_index(index: str, visit: Visit) -> WantedScans:
    """Reads an index, and every document that a IIIF collection leads to.

    Args:
        index: path of a table or of a IIIF document, or the address of a IIIF document.
        visit: how servers are asked. A table is read without any connection.

    Raises:
        IndexBroken: a file that cannot be read, or is no index.
        IiifBroken: what is at the address is no IIIF document.
        DownloadFailed: nothing can be fetched from the address.
    """
    if is_address(index):
        with open_session(visit) as session:
            try:
                data = session.read_bytes(require_address(index), MAX_DOCUMENT_BYTES)
                return walk(index, data, lambda address: session.read_bytes(address, MAX_DOCUMENT_BYTES))
            except Stopped:
                raise
            except (DownloadFailed, IiifBroken) as error:
                raise type(error)(f"{index}: {error}") from None
    path = Path(index)
    if not path.is_file():
        raise IndexBroken(path, "is not a file. Fix: name an existing CSV, TSV, JSON or XLSX file, or an address")
    if path.suffix.lower() in {".json", ".jsonld", ""}:
        try:
            data = read_regular(path, MAX_DOCUMENT_BYTES)
        except OSError as error:
            raise IndexBroken(path, f"cannot be read: {error.strerror}") from error
        if is_iiif(data):
            with open_session(visit) as session:
                return walk(path.name, data, lambda address: session.read_bytes(address, MAX_DOCUMENT_BYTES))
    return read_index_file(path)
