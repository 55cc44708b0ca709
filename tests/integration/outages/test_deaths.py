"""Workers that die or are stopped in the middle of a call."""

from __future__ import annotations

from collections.abc import Callable

from tests.integration.place import Place
from tests.waiting import eventually


def called(place: Place, number: str) -> bool:
    return any(number in call["numbers"] for call in place.control.calls())


def settled(place: Place, number: str) -> dict[str, object] | None:
    row = place.purchase(number)
    return row if row["status"] in ("purchased", "failed", "held") else None


def test_what_a_killed_worker_had_under_way_is_settled_by_another(
    fresh_place: Callable[..., Place], numbers: Callable[[int], list[str]]
) -> None:
    bought, not_bought, cannot_tell = numbers(3)
    place = fresh_place(timeout=8.0, send_within=1.0)
    victim = place.setup("victim")
    place.control.plan("fluents", "silence_after", bought)
    place.control.plan("signalwire", "silence_before", not_bought)
    place.control.plan("timepay", "silence_after", cannot_tell)
    providers = {bought: "fluents", not_bought: "signalwire", cannot_tell: "timepay"}
    for number, provider in providers.items():
        request = {"number": number, "provider": provider}
        victim.app.send_task("dialstock.buy_number", kwargs=request, queue="purchases")
    eventually(lambda: all(called(place, number) for number in providers), what="all calls are under way")
    victim.worker.kill()
    victim.worker.container.wait()
    assert {place.purchase(number)["status"] for number in providers} == {"purchasing"}

    with place.results() as results:
        place.setup("heir")
        rows = {n: eventually(lambda n=n: settled(place, n), what=f"{n} is settled") for n in providers}
        assert [rows[n]["status"] for n in providers] == ["purchased", "purchased", "held"]
        assert rows[cannot_tell]["success"] is None
        results.wait("dialstock.purchase.purchased", bought)
        results.wait("dialstock.purchase.purchased", not_bought)
        results.wait("dialstock.purchase.held", cannot_tell)
    assert place.charged(providers) == {bought: 1, not_bought: 1, cannot_tell: 1}
    made = {n: [a for a in place.attempts(str(rows[n]["id"])) if a["outcome"] != "not_sent"] for n in providers}
    outcomes = {n: [a["error_code"] for a in attempts] for n, attempts in made.items()}
    assert outcomes == {bought: ["found_by_look"], not_bought: ["worker_gone", None], cannot_tell: ["worker_gone"]}


def test_a_stopped_worker_finishes_its_call_tells_its_result_and_exits_with_0(
    fresh_place: Callable[..., Place], number: str
) -> None:
    place = fresh_place(timeout=10.0)
    setup = place.setup("stopped")
    place.control.plan("vogent", "slow", number, seconds=2.0)
    with place.results() as results:
        setup.app.send_task("dialstock.buy_number", kwargs={"number": number, "provider": "vogent"}, queue="purchases")
        eventually(lambda: called(place, number), what="the call is under way")
        setup.worker.kill("SIGTERM")
        assert setup.worker.container.wait() == 0
        row = place.purchase(number)
        assert (row["status"], row["attempts"]) == ("purchased", 1)
        assert [event["type"] for event in results.all(subject=number)][-1] == "dialstock.purchase.purchased"
        log = setup.worker.logs()
        assert log.index("Warm shutdown") < log.rindex("dialstock.internal.buy") < log.rindex("succeeded in")
    assert place.charged([number]) == {number: 1}
