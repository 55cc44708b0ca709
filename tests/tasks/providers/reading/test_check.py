from __future__ import annotations

from collections.abc import Callable

from schemas.outcomes import Check, Outcome, OutcomeKind
from tasks.providers.adapter import ProviderError
from tasks.providers.reading.check import Probe, run_probes


def probe(name: str, outcome: Outcome | None = None) -> Probe:
    return Probe(name=name, call=_call(outcome), proves=f"{name} works", mend=f"mend {name}")


def _call(outcome: Outcome | None) -> Callable[[], None]:
    def call() -> None:
        if outcome is not None:
            raise ProviderError(outcome)

    return call


def failed(status: int | None, kind: OutcomeKind = OutcomeKind.UNKNOWN) -> Outcome:
    return Outcome(kind=kind, http_status=status, error="it says no")


def lines(*probes: Probe) -> list[tuple[str, bool | None, str]]:
    return [(check.name, check.ok, check.message) for check in run_probes("http://x", probes)]


def test_all_is_well() -> None:
    assert lines(probe("one"), probe("two")) == [
        ("connection", True, "http://x answers"),
        ("token", True, "is accepted"),
        ("one", True, "one works"),
        ("two", True, "two works"),
    ]


def test_without_a_connection_nothing_more_is_asked() -> None:
    outcome = failed(None, OutcomeKind.NOT_SENT)
    assert lines(probe("one", outcome), probe("two")) == [
        ("connection", False, "it says no: check base_url, now http://x")
    ]


def test_a_refused_token_ends_it() -> None:
    outcome = failed(401, OutcomeKind.ACCOUNT)
    assert lines(probe("one", outcome), probe("two"))[1:] == [
        ("token", False, "it says no: check the token and its rights")
    ]


def test_a_wrong_path_tells_its_mend_and_the_next_probe_runs() -> None:
    assert lines(probe("one", failed(404, OutcomeKind.REFUSED)), probe("two"))[1:] == [
        ("one", False, "it says no: mend one"),
        ("token", True, "is accepted"),
        ("two", True, "two works"),
    ]


def test_a_provider_in_trouble_is_no_success() -> None:
    for outcome in (failed(503), failed(429, OutcomeKind.THROTTLED)):
        assert lines(probe("one", outcome))[1:] == [("one", False, "it says no: try again later")]
    assert lines(probe("one"), probe("two", failed(None)))[-1] == ("two", False, "it says no: try again later")


def test_an_account_that_a_404_refuses_may_be_a_wrong_path() -> None:
    """As where no token is given."""
    assert lines(probe("one", failed(404, OutcomeKind.ACCOUNT)))[1:] == [
        ("account", False, "it says no: mend one, or settle it in the provider's dashboard")
    ]


def test_what_proves_nothing_proves_no_token() -> None:
    nothing = Probe(name="two", call=lambda: Check(name="two", ok=None, message="?"), proves="", mend="")
    assert lines(probe("one", failed(404, OutcomeKind.REFUSED)), nothing)[1:] == [
        ("one", False, "it says no: mend one"),
        ("two", None, "?"),
    ]
