"""A database that went back in time gives a release's revisions again: what was of one is not of another."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from schemas.status import Status
from schemas.tables.releases import RELEASE, RELEASE_ATTEMPT
from tasks.ledger.rows import Row
from tasks.releases import giving_back
from tests.tasks.releasing import DONE, LOST, Returns


def during_a_look(meanwhile: Callable[[], object], monkeypatch: pytest.MonkeyPatch, returns: Returns) -> None:
    """*meanwhile* happens while the provider is asked."""
    look = returns.provider.look

    def looked(numbers: object) -> object:
        found = look(numbers)  # type: ignore[arg-type]
        meanwhile()
        return found

    monkeypatch.setattr(returns.provider, "look", looked)


def restore(returns: Returns, before: Row) -> None:
    """The release is as it was, and as it was are its calls."""
    at = RELEASE_ATTEMPT.c
    later = (at.release_id == before["id"], at.revision > before["revision"])
    with returns.world.write() as conn:
        conn.execute(delete(RELEASE_ATTEMPT).where(*later))
        conn.execute(update(RELEASE).where(RELEASE.c.id == before["id"]).values(**before))


def restored_and_marked(returns: Returns, row: Row) -> Callable[[], None]:
    """It goes back to what it is now, and a person marks it released, which brings it to the revision in hand."""
    [before] = returns.releases()

    def happen() -> None:
        [held] = returns.releases()
        restore(returns, before)
        assert giving_back.mark_released(returns.runtime, row["id"], "bob", None) is not None
        [marked] = returns.releases()
        assert marked["revision"] == held["revision"]

    return happen


def asked(returns: Returns) -> Row:
    row = returns.bought(idempotency_key="buyer")
    returns.ask(row)
    return row


def told(returns: Returns) -> int:
    return returns.world.events().count("released")


def test_a_look_ends_no_release_that_a_person_has_ended(returns: Returns, monkeypatch: pytest.MonkeyPatch) -> None:
    row = asked(returns)
    returns.provider.answers.append(returns.provider.take_back_unseen)
    assert returns.step()
    returns.world.clock.advance(3_600)
    during_a_look(restored_and_marked(returns, row), monkeypatch, returns)
    assert returns.step()
    assert returns.world.row(row["id"])["status"] == Status.RELEASED
    assert [one["error_code"] for one in returns.releases()] == ["by_person"]
    assert told(returns) == 1


def test_nor_does_the_answer_of_a_call(returns: Returns) -> None:
    row = asked(returns)

    def taken() -> None:
        returns.world.points["release_answered"] = restored_and_marked(returns, row)

    returns.world.points["release_taken"] = taken
    returns.provider.answers.append(DONE)
    assert returns.step()
    assert returns.world.row(row["id"])["status"] == Status.RELEASED
    assert [one["error_code"] for one in returns.releases()] == ["by_person"]
    assert told(returns) == 1


def test_nor_does_it_tell_what_the_call_came_to_that_has_its_revision_since(returns: Returns) -> None:
    asked(returns)

    def called_anew() -> None:
        [attempt] = returns.world.rows(select(RELEASE_ATTEMPT))
        later = attempt["deadline"] + timedelta(minutes=1)
        with returns.world.write() as conn:
            conn.execute(update(RELEASE_ATTEMPT).values(deadline=later))
            conn.execute(update(RELEASE).values(call_deadline=later))

    returns.world.points["release_answered"] = called_anew
    returns.provider.answers.append(LOST)
    returns.step()
    assert [one["outcome"] for one in returns.world.rows(select(RELEASE_ATTEMPT))] == [None]


def test_a_look_says_nothing_of_a_call_that_was_made_after_it(
    returns: Returns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That one is another, though it has the number of the one before: what it came to is not known."""
    asked(returns)
    [before] = returns.releases()
    returns.provider.answers += [LOST, LOST]
    assert returns.step()
    returns.world.clock.advance(3_600)

    def happen() -> None:
        monkeypatch.undo()
        restore(returns, before)
        assert returns.step()
        with returns.world.write() as conn:
            conn.execute(update(RELEASE).values(revision=RELEASE.c.revision + 1))

    during_a_look(happen, monkeypatch, returns)
    assert returns.step()
    [release] = returns.releases()
    assert (release["status"], release["doubt"], release["looks"]) == ("open", True, 0)
