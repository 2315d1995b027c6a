"""What was uploaded, as it comes back."""

from urllib.parse import unquote

from gar_publish.aside import aside
from gar_publish.distributions import Distribution
from gar_publish.errors import FileRefused
from gar_publish.index import Index


def read_back(distribution: Distribution, index: Index) -> str:
    """Download a file that was uploaded, and compare its bytes; where it is served is asked meanwhile.

    Returns:
        Where the index serves it.

    Raises:
        Failure: It is not there, or cannot be read, or has other bytes.
    """
    listing = aside(lambda: index.find(distribution.name, distribution.filename))
    there = index.peek(distribution.name, distribution.filename, distribution.size)
    listed = listing.result()
    if not listed:
        raise FileRefused(
            f"{distribution.filename} was uploaded, but the index does not list it.",
            cause="the index lags behind, or the upload went to another repository than the index shows",
            fix="run again: what is there is skipped; or set `verify: false`",
            anchor="read-back",
        )
    if there and there.sha256 == distribution.sha256 and unquote(there.url) == unquote(listed.url):
        theirs = there.sha256
    else:
        theirs = index.read_sha256(listed, distribution.sha256, distribution.size)
    if theirs != distribution.sha256 or listed.sha256 not in {None, theirs}:
        raise FileRefused(
            f"{distribution.filename} came back from the index with other bytes: "
            f"sha256 {theirs or 'of a longer file'}, sent was {distribution.sha256}.",
            cause="something between this machine and the registry changes files",
            fix=f"compare with: gcloud artifacts files list --package={distribution.name}",
            anchor="read-back",
        )
    return listed.url
