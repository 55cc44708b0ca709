from __future__ import annotations

import time

import pytest

from tasks.sandbox import SandboxServer
from tasks.sandbox.faults import FAULTS, Planner, make_fault
from tests.tasks.providers.shopper import KINDS, NUMBER, OTHER, PLIVO, TWILIO, Shopper
from tests.waiting import eventually

LOOK = {
    "fluents": "/fluents/v1/numbers/list",
    "signalwire": "/signalwire/api/relay/rest/phone_numbers",
    "vogent": "/vogent/api/phone_numbers",
    "bird": "/bird/workspaces/w/numbers-long-code",
    "twilio": f"/twilio{TWILIO}/IncomingPhoneNumbers.json",
    "plivo": f"/plivo{PLIVO}Number/",
    "vonage": "/vonage/account/numbers",
}
REFUSED = {
    "timepay": "200",
    "fluents": "400",
    "signalwire": "422",
    "vogent": "422",
    "bird": "422",
    "twilio": "400",
    "plivo": "404",
    "vonage": "420",
}
SUCCESS = {
    "timepay": "200",
    "fluents": "201",
    "signalwire": "200",
    "vogent": "200",
    "bird": "201",
    "twilio": "201",
    "plivo": "201",
    "vonage": "200",
}
NO_ANSWER = "RemoteProtocolError"


def charged(sandbox: SandboxServer, kind: str) -> int:
    return len(sandbox.control.charges(kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fault", "seen", "charges"),
    [
        ("throttle", "429", 0),
        ("account", "401", 0),
        ("error_before", "500", 0),
        ("error_after", "500", 1),
        ("cut_before", NO_ANSWER, 0),
        ("cut_after", NO_ANSWER, 1),
        ("html", "200", 1),
        ("late_show", "500", 1),
        ("status", "503", 0),
    ],
)
def test_a_planned_fault_happens_once(
    sandbox: SandboxServer, shopper: Shopper, kind: str, fault: str, seen: str, charges: int
) -> None:
    sandbox.control.plan(kind, fault)
    assert shopper.outcome(kind, NUMBER) == seen
    assert charged(sandbox, kind) == charges
    assert shopper.outcome(kind, NUMBER) == SUCCESS[kind]
    assert charged(sandbox, kind) == charges + 1
    assert [call["fault"] for call in sandbox.control.calls(kind)] == [fault, None]


@pytest.mark.parametrize("kind", KINDS)
def test_refuse_answers_as_the_page_refuses(sandbox: SandboxServer, shopper: Shopper, kind: str) -> None:
    sandbox.control.plan(kind, "refuse")
    answer = shopper.buy(kind, NUMBER)
    assert str(answer.status_code) == REFUSED[kind]
    assert charged(sandbox, kind) == 0
    if kind == "timepay":
        assert answer.json()["data"][0]["success"] is False


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("fault", "charges"), [("silence_before", 0), ("silence_after", 1)])
def test_silence_never_answers(sandbox: SandboxServer, shopper: Shopper, kind: str, fault: str, charges: int) -> None:
    sandbox.control.plan(kind, fault)
    assert shopper.outcome(kind, NUMBER, timeout=0.2) == "ReadTimeout"
    assert shopper.outcome(kind, OTHER) == SUCCESS[kind]
    assert sandbox.control.owned(kind) == [NUMBER, OTHER][1 - charges :]
    assert [call["status"] for call in sandbox.control.calls(kind)] == [None, int(SUCCESS[kind])]


@pytest.mark.parametrize("kind", KINDS)
def test_drip_takes_its_time_and_is_whole(sandbox: SandboxServer, shopper: Shopper, kind: str) -> None:
    sandbox.control.plan(kind, "drip", seconds=0.3)
    begun = time.monotonic()
    answer = shopper.buy(kind, NUMBER)
    assert time.monotonic() - begun >= 0.3
    assert str(answer.status_code) == SUCCESS[kind]
    assert (NUMBER[1:] in answer.text) is (kind != "vonage")
    assert charged(sandbox, kind) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_may_leave_a_dripping_answer(sandbox: SandboxServer, shopper: Shopper, kind: str) -> None:
    sandbox.control.plan(kind, "drip", seconds=3600)
    assert shopper.outcome(kind, NUMBER, timeout=0.2) == "ReadTimeout"
    assert shopper.outcome(kind, NUMBER) == SUCCESS[kind]
    assert charged(sandbox, kind) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_slow_is_a_normal_answer_later(sandbox: SandboxServer, shopper: Shopper, kind: str) -> None:
    sandbox.control.plan(kind, "slow", seconds=0.2)
    begun = time.monotonic()
    assert shopper.outcome(kind, NUMBER) == SUCCESS[kind]
    assert time.monotonic() - begun >= 0.2


@pytest.mark.parametrize("kind", KINDS)
def test_html_is_no_json_and_may_come_before_charging(sandbox: SandboxServer, shopper: Shopper, kind: str) -> None:
    sandbox.control.plan(kind, "html", charge=False)
    answer = shopper.buy(kind, NUMBER)
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.text.startswith("<html>")
    assert charged(sandbox, kind) == 0


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("timepay", {"success": True, "data": []}),
        ("fluents", {}),
        ("signalwire", {}),
        ("vogent", {}),
        ("bird", {"results": []}),
        ("twilio", {}),
        ("vonage", {}),
    ],
)
def test_missing_item_is_silent_about_the_number(
    sandbox: SandboxServer, shopper: Shopper, kind: str, body: object
) -> None:
    sandbox.control.plan(kind, "missing_item")
    answer = shopper.buy(kind, NUMBER)
    assert (str(answer.status_code), answer.json()) == (SUCCESS[kind], body)
    assert charged(sandbox, kind) == 1


@pytest.mark.parametrize("kind", ["timepay", "bird"])
def test_one_item_of_a_batch_is_missing(sandbox: SandboxServer, shopper: Shopper, kind: str) -> None:
    sandbox.control.plan(kind, "missing_item", number=OTHER, charge=False)
    answer = shopper.buy(kind, NUMBER, OTHER)
    assert NUMBER[1:] in answer.text
    assert OTHER[1:] not in answer.text
    assert [charge["number"] for charge in sandbox.control.charges(kind)] == [NUMBER]


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_number_is_about_another(sandbox: SandboxServer, shopper: Shopper, kind: str) -> None:
    sandbox.control.plan(kind, "wrong_number")
    answer = shopper.buy(kind, NUMBER)
    assert str(answer.status_code) == SUCCESS[kind]
    assert NUMBER[1:] not in answer.text
    assert OTHER[1:] in answer.text
    assert sandbox.control.owned(kind) == [NUMBER]


@pytest.mark.parametrize("kind", sorted(LOOK))
def test_late_show_is_seen_later(sandbox: SandboxServer, shopper: Shopper, kind: str) -> None:
    sandbox.control.plan(kind, "late_show", number=NUMBER, seconds=3600)
    sandbox.control.plan(kind, "late_show", number=OTHER, seconds=0.05, answer="cut")
    assert shopper.outcome(kind, NUMBER) == "500"
    assert shopper.outcome(kind, OTHER) == NO_ANSWER
    assert sandbox.control.owned(kind) == [NUMBER, OTHER]
    eventually(lambda: OTHER[1:] in shopper.get(LOOK[kind]).text, what="the number is shown")
    assert NUMBER[1:] not in shopper.get(LOOK[kind]).text


def test_status_is_any_answer(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.plan("vogent", "status", status=302, body={"moved": True}, headers={"Location": "/x"}, charge=True)
    answer = shopper.buy("vogent", NUMBER)
    assert (answer.status_code, answer.json(), answer.headers["Location"]) == (302, {"moved": True}, "/x")
    assert charged(sandbox, "vogent") == 1


def test_throttle_names_the_seconds(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.plan("signalwire", "throttle", retry_after=7)
    sandbox.control.plan("signalwire", "throttle", retry_after=None)
    assert shopper.buy("signalwire", NUMBER).headers["Retry-After"] == "7"
    assert "Retry-After" not in shopper.buy("signalwire", NUMBER).headers


@pytest.mark.parametrize("reason", ["balance", "quota"])
@pytest.mark.parametrize("kind", KINDS[:5])
def test_an_account_without_means_is_told_in_the_body(
    sandbox: SandboxServer, shopper: Shopper, kind: str, reason: str
) -> None:
    sandbox.control.plan(kind, "account", reason=reason)
    answer = shopper.buy(kind, NUMBER)
    words = {"balance": ("balance",), "quota": ("quota", "limit")}[reason]
    assert str(answer.status_code) == REFUSED[kind]
    assert any(word in answer.text.lower() for word in words)
    assert charged(sandbox, kind) == 0


def test_a_fault_for_a_number_waits_for_it(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.plan("vogent", "error_before", number=OTHER, times=2)
    seen = [shopper.outcome("vogent", number) for number in (NUMBER, OTHER, NUMBER, OTHER, OTHER)]
    assert seen == ["200", "500", "200", "500", "200"]


@pytest.mark.parametrize("kind", sorted(LOOK))
def test_reading_calls_have_faults_of_their_own(sandbox: SandboxServer, shopper: Shopper, kind: str) -> None:
    for fault in ("throttle", "account", "error_before", "html"):
        sandbox.control.plan(kind, fault, on="read")
    answers = [shopper.get(LOOK[kind]) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [429, 401, 500, 200, 200]
    assert answers[3].text.startswith("<html>")


@pytest.mark.parametrize(
    ("fault", "params"),
    [("explode", {}), ("throttle", {"seconds": 1}), ("cut_after", {"charge": False}), ("account", {"reason": "mood"})],
)
def test_a_fault_that_is_not_known_is_refused(fault: str, params: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"unknown|has no param"):
        make_fault(fault, params)


def drawn(seed: int, numbers: list[str], faults: tuple[str, ...] = FAULTS) -> dict[tuple[str, int], str | None]:
    planner = Planner()
    planner.roll(seed, dict.fromkeys(faults, 0.05))
    had: dict[str, int] = {}
    result = {}
    for number in numbers:
        had[number] = had.get(number, 0) + 1
        (fault,) = planner.draw("vogent", [number])
        result[number, had[number]] = None if fault is None else fault.name
    return result


def test_random_faults_hang_on_the_seed_and_not_on_the_order() -> None:
    numbers = [f"+1415555{n:04d}" for n in range(400)] * 2
    first = drawn(7, numbers)
    assert drawn(7, sorted(numbers)) == first
    assert drawn(7, numbers, FAULTS[::-1]) == first
    assert drawn(8, numbers) != first
    assert set(first.values()) == {None, *FAULTS}


def test_random_faults_come_at_their_rate(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.rates(3, {"throttle": 0.25})
    seen = [shopper.outcome("vogent", f"+1415555{n:04d}") for n in range(200)]
    assert 30 <= seen.count("429") <= 70
    assert charged(sandbox, "vogent") == seen.count("200") == 200 - seen.count("429")


@pytest.mark.parametrize("rates", [{"explode": 0.1}, {"throttle": -0.1}, {"throttle": 0.6, "refuse": 0.6}])
def test_rates_that_cannot_be_are_refused(rates: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"unknown|rate"):
        Planner().roll(0, rates)


@pytest.mark.parametrize(("first", "second"), [("slow", "throttle"), ("slow", "cut_before")])
def test_a_call_for_many_has_one_fault_and_charges_what_it_says_it_sold(
    sandbox: SandboxServer, shopper: Shopper, first: str, second: str
) -> None:
    sandbox.control.plan("timepay", first, number=NUMBER)
    sandbox.control.plan("timepay", second, number=OTHER)
    sold = [item["success"] for item in shopper.buy("timepay", NUMBER, OTHER).json()["data"]]
    assert (sold, charged(sandbox, "timepay")) == ([True, True], 2)
