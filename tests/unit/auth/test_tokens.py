import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import sleep

import pytest

from gar_publish.auth.tokens import READ_ONLY_SCOPE, FreshSource, GivenSource, Token, TokenSource, expiry_warning
from gar_publish.errors import CredentialsFailure, Failure, Unreachable

START = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass
class Mint:
    """Makes numbered tokens that are valid for an hour by its own clock."""

    life: timedelta = timedelta(hours=1)
    now: datetime = START
    scopes: list[str] = field(default_factory=list)

    def fetch(self, scope: str) -> Token:
        self.scopes.append(scope)
        return Token(f"token-{len(self.scopes)}", self.now + self.life)

    def source(self, *, narrows: bool = True) -> FreshSource:
        return FreshSource("test", self.fetch, narrows=narrows, now=lambda: self.now)


def test_kept_while_fresh() -> None:
    mint = Mint()
    source = mint.source()
    assert source.token().value == "token-1"
    mint.now += timedelta(minutes=55)
    assert source.token().value == "token-1"


def test_replaced_before_it_expires() -> None:
    mint = Mint()
    source = mint.source()
    source.token()
    mint.now += timedelta(minutes=56, seconds=1)
    assert source.token().value == "token-2"
    assert source.token().expires_at == mint.now + timedelta(hours=1)


def test_a_short_lived_token_is_replaced_after_half_its_life() -> None:
    mint = Mint(life=timedelta(minutes=2))
    source = mint.source()
    source.token()
    mint.now += timedelta(seconds=59)
    assert source.token().value == "token-1"
    mint.now += timedelta(seconds=2)
    assert source.token().value == "token-2"


def test_the_old_token_is_used_until_it_expires_while_no_server_answers() -> None:
    mint = Mint()
    answers = iter([mint.fetch])
    asked: list[str] = []

    def fetch(scope: str) -> Token:
        asked.append(scope)
        if answer := next(answers, None):
            return answer(scope)
        raise Unreachable("no answer", anchor="unreachable")

    source = FreshSource("test", fetch, now=lambda: mint.now)
    source.token()
    mint.now += timedelta(minutes=57)
    assert {source.token().value for _ in range(5)} == {"token-1"}
    assert len(asked) == 2, "not asked for again at once"
    mint.now += timedelta(minutes=2)
    assert source.token().value == "token-1"
    assert len(asked) == 3
    with pytest.raises(Unreachable):
        source.renew("token-1")
    mint.now += timedelta(minutes=1)
    with pytest.raises(Unreachable):
        source.token()


def test_a_token_to_hand_out_has_nearly_its_whole_life() -> None:
    mint = Mint(life=timedelta(minutes=5))
    source = mint.source()
    assert source.token().value == "token-1"
    mint.now += timedelta(seconds=29)
    assert source.to_hand_out().value == "token-1"
    mint.now += timedelta(seconds=1)
    assert source.to_hand_out() == Token("token-2", mint.now + timedelta(minutes=5))
    assert source.token().value == "token-2"


@pytest.mark.parametrize("failure", [Unreachable("no answer", anchor="x"), CredentialsFailure("no", anchor="x")])
def test_a_token_that_cannot_be_replaced_is_handed_out_while_it_is_valid(failure: Failure) -> None:
    mint = Mint(life=timedelta(minutes=5))

    def fetch(scope: str) -> Token:
        if mint.scopes:
            raise failure
        return mint.fetch(scope)

    source = FreshSource("test", fetch, now=lambda: mint.now)
    source.token()
    mint.now += timedelta(minutes=4)
    assert source.to_hand_out().value == "token-1"
    mint.now += timedelta(minutes=1)
    with pytest.raises(type(failure)):
        source.to_hand_out()


def test_a_token_that_expires_soon_comes_with_a_warning() -> None:
    def warned(minutes: float, *, federated: bool) -> str:
        end = datetime.now(UTC) + timedelta(minutes=minutes)
        return expiry_warning(Token("token", end, federated=federated))

    assert expiry_warning(Token("token", None)) == warned(10.1, federated=True) == ""
    assert "set `service-account`" in warned(9.9, federated=True)
    assert "get another token right before the install" in warned(9.9, federated=False)
    assert warned(-1, federated=False)


def test_a_token_without_an_end_is_kept() -> None:
    tokens = iter([Token("first", None), Token("second", None)])
    source = FreshSource("test", lambda _: next(tokens))
    assert source.token().value == source.token().value == "first"
    assert source.renew("first").value == "second"


def test_a_token_that_has_expired_when_it_comes_is_kept() -> None:
    """A wrong clock must not cause a fetch for each request."""
    mint = Mint(life=timedelta(0))
    source = mint.source()
    assert source.token().value == source.token().value == "token-1"


def test_one_renewal_for_all_refused_requests() -> None:
    mint = Mint()
    source = mint.source()
    source.token()
    assert source.renew("token-1").value == "token-2"
    assert source.renew("token-1").value == "token-2"
    assert source.token().value == "token-2"


def test_read_only_has_its_own_token() -> None:
    mint = Mint()
    source = mint.source()
    reader = source.read_only()
    assert reader
    assert reader.token().value != source.token().value
    assert mint.scopes == [READ_ONLY_SCOPE, "https://www.googleapis.com/auth/cloud-platform"]
    assert reader.kind == "test"


def test_no_read_only_where_scopes_are_ignored() -> None:
    assert Mint().source(narrows=False).read_only() is None


def test_token_is_not_shown() -> None:
    token = Token("open-sesame", None)
    source = FreshSource("test", lambda _: token)
    assert "open-sesame" not in f"{token!r} {token} {source.token()!r} {source!r} {GivenSource('open-sesame')!r}"


def in_threads(count: int, call: Callable[[], object]) -> list[object]:
    results: list[object] = []

    def run() -> None:
        try:
            results.append(call())
        except CredentialsFailure as failure:
            results.append(failure)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return results


class Slow:
    """Fetches when 49 other threads wait for it."""

    def __init__(self, failure: CredentialsFailure | None = None) -> None:
        self.source = FreshSource("test", self.fetch)
        self.failure = failure
        self.count = 0

    def fetch(self, _scope: str) -> Token:
        self.count += 1
        for _ in range(5000):
            if self.source._pending and len(self.source._pending._condition._waiters) == 49:  # type: ignore[attr-defined] # private
                break
            sleep(0.001)
        if self.failure:
            raise self.failure
        return Token("shared", None)


def test_fifty_threads_share_one_fetch() -> None:
    slow = Slow()
    assert in_threads(50, slow.source.token) == [Token("shared", None)] * 50
    assert slow.count == 1


def test_fifty_threads_share_one_failure_and_the_next_fetches_again() -> None:
    slow = Slow(CredentialsFailure("no", anchor="x"))
    assert in_threads(50, slow.source.token) == [slow.failure] * 50
    assert in_threads(50, slow.source.token) == [slow.failure] * 50
    assert slow.count == 2


def test_given_token_stays() -> None:
    source: TokenSource = GivenSource("given")
    assert source.token() == source.to_hand_out() == source.renew("given") == Token("given", None)
    assert source.read_only() is None
