"""The checks: each observes the value that a switch of the emulator must have to behave as the target does.

Their ids begin with the group of calls that they belong to: A: repositories and accounts, B: reading, C: writing,
D: Google's APIs, E: tokens, F: jobs on GitHub.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import jwt
import requests

from conformance.calls import ANONYMOUS, Credential, NotObserved, as_object, form, text
from conformance.early import after_refusal
from conformance.lab import READ_ONLY, REGISTRY, Lab, Place, basic, bearer, token_of, wheel
from gar_publish.transport.session import is_success

Value = bool | int | float | str
JSON_INDEX = "application/vnd.pypi.simple.v1+json"
GITHUB = "token.actions.githubusercontent.com"

DELAYS = (0, 1, 5, 20, 60, 300)
"""Seconds that a delay is rounded to, so that a second run gives the same value, on a busy machine too."""

LIKELY_ATTRIBUTES, LONGEST_ATTRIBUTES = 256, 4096
STEPS = 128
"""A size limit is found to this part of the largest upload."""

OK, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 200, 401, 403, 404
REDIRECTED = {302: True, 303: True, 307: True, 308: True}


@dataclass(frozen=True)
class Check:
    """One call, or a short sequence.

    Attributes:
        id: Its group, and a name.
        switch: The switch whose value it observes, as world files spell it.
        observe: Returns the value. Raises NotObserved if that is not possible.
        public: Whether it needs no account.
    """

    id: str
    switch: str
    observe: Callable[..., Value]
    public: bool = False


# Group A, repositories and accounts


def operation_seconds(lab: Lab) -> Value:
    """Seconds until a new repository is done."""
    return _rounded(lab.finish(lab.create(f"{lab.run}-a{lab.number_of_file()}", "PYTHON")))


def repository_delay(lab: Lab) -> Value:
    """Seconds from then until the Python host takes an upload to it."""
    name = f"a{lab.number_of_file()}"
    lab.finish(lab.create(f"{lab.run}-{name}", "PYTHON"))
    return _delay(lab, lambda: lab.upload(_host_owner(lab), repository=name), "an upload to a new repository")


# Group B, reading


def root_index(place: Place) -> Value:
    """Whether /simple/ lists the packages."""
    answer = place.client.call("GET", place.host, f"{place.root}/simple/", place.reader)
    return _one_of(answer, {OK: True, NOT_FOUND: False})


def json_index(place: Place) -> Value:
    """Whether the index answers in JSON."""
    answer = _page(place, place.page(accept=JSON_INDEX))
    return answer.headers.get("Content-Type", "").startswith(JSON_INDEX)


def requires_python(place: Place) -> Value:
    """Whether the index has data-requires-python."""
    return "data-requires-python=" in _page(place, place.page()).text


def any_spelling(place: Place) -> Value:
    """Whether the index serves a package under a name that is not normalised."""
    return _one_of(place.page(place.package.upper()), {OK: True, NOT_FOUND: False})


def redirect_length(place: Place) -> Value:
    """The length of the path that a download is redirected to, in thousands."""
    target = _redirected(place)
    return max(1000, round(len(target), -3)) if target else 0


def open_downloads(lab: Lab) -> Value:
    """Whether the address that a download is redirected to needs no credentials."""
    target = _redirected(lab)
    if not target:
        raise NotObserved("downloads are not redirected")
    answer = lab.client.call("GET", lab.host, target, stream=True)
    answer.close()
    return _one_of(answer, {OK: True, UNAUTHORIZED: False, FORBIDDEN: False})


def head_redirects(place: Place) -> Value:
    """Whether HEAD of a file is redirected."""
    answer = place.client.call("HEAD", place.host, _file(place), place.reader)
    return _one_of(answer, {OK: False, **REDIRECTED})


def metadata_files(place: Place) -> Value:
    """Whether the index has the metadata of a wheel as a file of its own."""
    answer = place.client.call("GET", place.host, f"{_file(place)}.metadata", place.reader)
    return _one_of(answer, {OK: True, NOT_FOUND: False, **REDIRECTED})


def challenge(lab: Lab) -> Value:
    """Whether a 401 asks for a user name and a password."""
    answer = lab.page(credential=ANONYMOUS)
    _one_of(answer, {UNAUTHORIZED: True})
    return answer.headers.get("WWW-Authenticate", "").lower().startswith("basic")


def json_key_user(lab: Lab) -> Value:
    """Whether the user `_json_key` and a key that is not in base64 are taken."""
    return _one_of(lab.page(credential=lab.json_key("read")), {OK: True, UNAUTHORIZED: False})


def bearer_tokens(lab: Lab) -> Value:
    """Whether `Authorization: Bearer` is taken."""
    answer = lab.page(credential=bearer("reader (Bearer)", token_of(lab.reader)))
    return _one_of(answer, {OK: True, UNAUTHORIZED: False})


def read_only_scope(lab: Lab) -> Value:
    """Whether a token with the scope cloud-platform.read-only can read."""
    token = lab.token("read", READ_ONLY)
    return _one_of(lab.page(credential=token), {OK: True, UNAUTHORIZED: False, FORBIDDEN: False})


def federated_tokens(lab: Lab) -> Value:
    """Whether a federated token is taken without an account."""
    token = lab.federated()
    answer = lab.until(
        lambda: lab.page(credential=token), lambda answer: answer.status_code != FORBIDDEN, "a federated token"
    )
    return _one_of(answer, {OK: True, UNAUTHORIZED: False})


def attributes_limit(lab: Lab) -> Value:
    """The bytes of mapped attributes from which a federated token is refused."""

    def is_taken(size: int) -> bool:
        answer = lab.page(credential=lab.federated("x" * (size - len(lab.run))))
        return bool(_one_of(answer, {OK: True, 400: False}))

    if is_taken(LIKELY_ATTRIBUTES) and not is_taken(LIKELY_ATTRIBUTES + 1):
        return LIKELY_ATTRIBUTES
    fewest = len(lab.run) + 1
    if not is_taken(fewest):
        raise NotObserved("the shortest attributes are refused as well")
    return 0 if is_taken(LONGEST_ATTRIBUTES) else _largest(is_taken, fewest, LONGEST_ATTRIBUTES)


def texts(lab: Lab) -> Value:
    """The text of a refusal: empty, generic, or with the permission."""
    answer = lab.page(credential=lab.nobody)
    _one_of(answer, {FORBIDDEN: True})
    if not answer.text.strip():
        return "empty"
    return "detailed" if "artifactregistry." in answer.text else "generic"


def missing_repository(lab: Lab) -> Value:
    """The status of a missing repository: for the owner, and for an account without rights."""
    path = f"/{lab.project}/{lab.run}-missing/simple/{lab.package}/"
    seen = tuple(lab.client.call("GET", lab.host, path, who).status_code for who in (_host_owner(lab), lab.nobody))
    known: dict[tuple[int, ...], str] = {
        (NOT_FOUND, FORBIDDEN): "by-rights",
        (FORBIDDEN, FORBIDDEN): "403",
        (NOT_FOUND, NOT_FOUND): "404",
    }
    if seen not in known:
        raise NotObserved(f"a missing repository is answered {seen[0]} and {seen[1]}")
    return known[seen]


# Group C, writing


def upload_status(lab: Lab) -> Value:
    """The status of an accepted upload."""
    answer = lab.upload(lab.publisher)
    if not is_success(answer):
        raise NotObserved(f"an upload is answered {answer.status_code}")
    return answer.status_code


def index_delay(lab: Lab) -> Value:
    """Seconds from an upload until the file is in the index."""
    package = f"{lab.run}-late{lab.number_of_file()}"
    _accepted(lab.upload(lab.publisher, package=package))
    return _delay(lab, lambda: lab.page(package), "the index page of a new package")


def duplicate_identical(lab: Lab) -> Value:
    """Whether an identical file is taken again."""
    version = str(lab.number_of_file())
    content = wheel(lab.uploads, version)
    _accepted(lab.upload(lab.publisher, version=version, content=content))
    return _is_accepted(lab.upload(lab.publisher, version=version, content=content))


def duplicate_status(lab: Lab) -> Value:
    """The status for a file name that exists."""
    version = str(lab.number_of_file())
    _accepted(lab.upload(lab.publisher, version=version))
    again = lab.upload(lab.publisher, version=version, content=wheel(lab.uploads, version, 2000))
    return _refusal(again, "different contents under the same name are")


def check_digests(lab: Lab) -> Value:
    """Whether a digest that does not match the contents is refused."""
    return not _is_accepted(lab.upload(lab.publisher, sha256_digest="0" * 64))


def check_names(lab: Lab) -> Value:
    """Whether a file name that does not match the name is refused."""
    return not _is_accepted(lab.upload(lab.publisher, name=f"{lab.run}-other"))


def epochs(lab: Lab) -> Value:
    """Whether a version with an epoch is taken."""
    return _is_accepted(lab.upload(lab.publisher, package=f"{lab.run}-epoch", version=f"1!{lab.number_of_file()}"))


def slashless_uploads(lab: Lab) -> Value:
    """Whether an upload is taken at the repository's address without its last slash."""
    version = str(lab.number_of_file())
    upload = form(lab.uploads, version, wheel(lab.uploads, version))
    return _is_accepted(lab.client.call("POST", lab.host, lab.root, lab.publisher, **upload))


def reuse_deleted(lab: Lab) -> Value:
    """Whether the name of a deleted file can be used again."""
    version = str(lab.number_of_file())
    _accepted(lab.upload(lab.publisher, version=version))
    lab.delete_version(version)
    return _is_accepted(lab.upload(lab.publisher, version=version))


def early_refusals(lab: Lab) -> Value:
    """What follows the refusal of a large upload."""
    upload = form(lab.uploads, str(lab.number_of_file()), bytes(16 * 1024))
    return after_refusal(lab.client, lab.host, f"{lab.root}/", lab.reader, upload=upload, seconds=lab.pace.early)


def max_upload_size(lab: Lab) -> Value:
    """The size from which a file is too large."""

    def is_taken(size: int) -> bool:
        version = str(lab.number_of_file())
        answer = lab.upload(lab.publisher, version=version, content=wheel(lab.uploads, version, size))
        return is_success(answer) or not _one_of(answer, {413: True})

    largest, step = lab.pace.largest, lab.pace.largest // STEPS
    if is_taken(largest):
        return 0
    return step * _largest(lambda steps: is_taken(steps * step), 1, STEPS)


def wrong_repository_status(lab: Lab) -> Value:
    """The status of an upload to a repository of another format."""
    return _refusal(lab.upload(_host_owner(lab), repository="dock"), "an upload to a Docker repository is")


# Group D, Google's APIs


def quota_project(lab: Lab) -> Value:
    """Whether a user's login without x-goog-user-project is refused."""
    if lab.login is None:
        raise NotObserved("it needs a login of `gcloud auth application-default login`")
    path = f"/v1/projects/{lab.project}/locations/{lab.location}/repositories/{lab.run}-py"
    return _one_of(lab.client.call("GET", REGISTRY, path, lab.login), {FORBIDDEN: True, OK: False})


# Group E, tokens


def attribute_condition_status(lab: Lab) -> Value:
    """The status of an exchange whose condition is false."""
    return _refusal(lab.exchange(admitted="no"), "a false condition is")


def federated_lifetime(lab: Lab) -> Value:
    """The seconds that a federated token lasts; 0 = as long as its identity token, here ten minutes."""
    lifetime = 600
    answer = lab.exchange(lifetime=lifetime)
    if not is_success(answer):
        raise NotObserved(f"the token exchange answers {answer.status_code}")
    seconds = as_object(answer).get("expires_in")
    if not isinstance(seconds, int):
        raise NotObserved("the token exchange gives no expires_in")
    return 0 if abs(seconds - lifetime) <= 30 else seconds  # noqa: PLR2004 - the clocks' difference


# Group F, jobs on GitHub


def immutable_subject(lab: Lab) -> Value:
    """Whether a job's `sub` has ids."""
    url, token = (lab.job.get(f"ACTIONS_ID_TOKEN_REQUEST_{name}", "") for name in ("URL", "TOKEN"))
    if not url or not token:
        raise NotObserved("it needs a job on GitHub with `id-token: write`")
    base, host = lab.client.address(GITHUB), GITHUB
    if not url.startswith(base):
        host = str(urlsplit(url).hostname)
        base = f"https://{host}"
        if not host.endswith(".actions.githubusercontent.com") or not url.startswith(f"{base}/"):
            raise NotObserved("ACTIONS_ID_TOKEN_REQUEST_URL is not an address of GitHub")
    answer = lab.client.call("GET", host, f"{url.removeprefix(base)}&audience=conformance", bearer("the job", token))
    try:
        claims = jwt.decode(text(as_object(answer), "value"), options={"verify_signature": False})
    except jwt.InvalidTokenError:
        raise NotObserved("GitHub gives no identity token") from None
    return re.match(r"repo:[^/]+@\d+/", str(claims.get("sub"))) is not None


CHECKS = (
    Check("A4.operation", "operation-seconds", operation_seconds),
    Check("A5.new-repository", "repository-delay", repository_delay),
    Check("B1.root", "root-index", root_index, public=True),
    Check("B2.json", "json-index", json_index, public=True),
    Check("B3.bearer", "bearer-tokens", bearer_tokens),
    Check("B3.challenge", "challenge", challenge),
    Check("B3.json-key", "json-key-user", json_key_user),
    Check("B3.read-only-scope", "read-only-scope", read_only_scope),
    Check("B3.federated", "federated-tokens", federated_tokens),
    Check("B3.denied-text", "texts", texts),
    Check("B4.missing", "missing-repository", missing_repository),
    Check("B5.requires-python", "requires-python", requires_python, public=True),
    Check("B6.redirect", "redirect-length", redirect_length, public=True),
    Check("B6.open", "open-downloads", open_downloads),
    Check("B6.head", "head-redirects", head_redirects, public=True),
    Check("B6.attributes", "attributes-limit", attributes_limit),
    Check("B7.metadata", "metadata-files", metadata_files, public=True),
    Check("B7.spelling", "any-spelling", any_spelling, public=True),
    Check("C1.upload", "upload-status", upload_status),
    Check("C1.index", "index-delay", index_delay),
    Check("C2.identical", "duplicate-identical", duplicate_identical),
    Check("C2.different", "duplicate-status", duplicate_status),
    Check("C4.early", "early-refusals", early_refusals),
    Check("C4.no-slash", "slashless-uploads", slashless_uploads),
    Check("C4.wrong-format", "wrong-repository-status", wrong_repository_status),
    Check("C6.digest", "check-digests", check_digests),
    Check("C6.name", "check-names", check_names),
    Check("C9.epoch", "epochs", epochs),
    Check("C10.size", "max-upload-size", max_upload_size),
    Check("C11.reuse", "reuse-deleted", reuse_deleted),
    Check("D5.quota-project", "quota-project", quota_project),
    Check("E2.lifetime", "federated-lifetime", federated_lifetime),
    Check("E3.condition", "attribute-condition-status", attribute_condition_status),
    Check("F1.subject", "immutable-subject", immutable_subject),
)


def _host_owner(lab: Lab) -> Credential:
    return basic(lab.owner.name, token_of(lab.owner))


def _file(place: Place) -> str:
    """Return the path of the first wheel of the package.

    Raises:
        NotObserved: The index links to none, or to another host.
    """
    link = re.search(r'href="([^"#]+\.whl)["#]', _page(place, place.page()).text)
    return _on_host(place, f"{place.root}/simple/{place.package}/", link[1] if link else "", below=f"{place.root}/")


def _redirected(place: Place) -> str:
    """Return the path that a download is redirected to; empty if it is answered with the file.

    Raises:
        NotObserved: It is refused, or redirected to another host.
    """
    file = _file(place)
    answer = place.client.call("GET", place.host, file, place.reader, stream=True)
    answer.close()
    if not _one_of(answer, {OK: False, **REDIRECTED}):
        return ""
    return _on_host(place, file, answer.headers.get("Location", ""))


def _on_host(place: Place, path: str, link: str, below: str = "/") -> str:
    """Return the path of a link on a page of the host."""
    base = place.client.address(place.host)
    url = urljoin(f"{base}{path}", link)
    if not url.startswith(f"{base}{below}"):
        raise NotObserved("a link or a redirect leaves the host")
    return url.removeprefix(base)


def _page(place: Place, answer: requests.Response) -> requests.Response:
    if not is_success(answer):
        raise NotObserved(f"the index page of {place.package} is answered {answer.status_code}")
    return answer


def _one_of(answer: requests.Response, meanings: dict[int, bool]) -> bool:
    """Return what a status means.

    Raises:
        NotObserved: It means none of these.
    """
    if answer.status_code not in meanings:
        expected = " or ".join(map(str, meanings))
        raise NotObserved(f"the answer is {answer.status_code} instead of {expected}")
    return meanings[answer.status_code]


def _refusal(answer: requests.Response, what: str) -> int:
    if answer.status_code < 400:  # noqa: PLR2004 - no refusal
        raise NotObserved(f"{what} answered {answer.status_code}")
    return answer.status_code


def _is_accepted(answer: requests.Response) -> bool:
    if is_success(answer) or 400 <= answer.status_code < 500:  # noqa: PLR2004 - accepted or refused
        return is_success(answer)
    raise NotObserved(f"an upload is answered {answer.status_code}")


def _accepted(answer: requests.Response) -> None:
    if not is_success(answer):
        raise NotObserved(f"an upload is answered {answer.status_code}")


def _largest(is_taken: Callable[[int], bool], taken: int, refused: int) -> int:
    """Return the largest number that is taken, by bisection."""
    while refused - taken > 1:
        middle = (taken + refused) // 2
        taken, refused = (middle, refused) if is_taken(middle) else (taken, middle)
    return taken


def _delay(lab: Lab, call: Callable[[], requests.Response], what: str) -> float:
    """Return the rounded seconds until a call succeeds; 0 if it does at once, however long it takes."""
    answers: list[requests.Response] = []
    start = time.monotonic()

    def once_more() -> requests.Response:
        answers.append(call())
        return answers[-1]

    lab.until(once_more, is_success, what)
    return _rounded(time.monotonic() - start if len(answers) > 1 else 0)


def _rounded(seconds: float) -> float:
    return float(min(DELAYS, key=lambda step: abs(step - seconds)))
