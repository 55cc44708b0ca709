"""schemas.config.schedules: what a schedule may say, and when it is due next."""

from __future__ import annotations

from calendar import isleap
from datetime import UTC, datetime, timedelta, timezone

import pytest

from schemas.config.schedules import parse_schedule


def after(schedule, moment):
    """The next moment after *moment*, both as ISO texts in UTC."""
    found = parse_schedule(schedule).next_after(datetime.fromisoformat(f"{moment}+00:00"))
    assert found.tzinfo is UTC
    return found.isoformat(sep=" ").removesuffix("+00:00")


@pytest.mark.parametrize(
    ("schedule", "text", "seconds"),
    [("10s", "10s", 10), (" 5m ", "5m", 300), (90, "90s", 90), (12.5, "12.5s", 12.5), ("366d", "366d", 366 * 86400)],
)
def test_a_duration_is_added(schedule, text, seconds):
    moment = datetime(2026, 2, 28, 23, 59, 59, 7, tzinfo=UTC)
    parsed = parse_schedule(schedule)
    assert parsed.next_after(moment) == moment + timedelta(seconds=seconds)
    assert str(parsed) == text
    assert parse_schedule(text).rule == parse_schedule(parsed).rule == seconds


@pytest.mark.parametrize(
    ("crontab", "moment", "following"),
    [
        ("* * * * *", "2026-11-21 11:06:17.000003", "2026-11-21 11:07:00"),
        ("* * * * *", "2026-11-21 11:07:00", "2026-11-21 11:08:00"),
        ("* * * * *", "2026-12-31 23:59:00", "2027-01-01 00:00:00"),
        ("30 6,18 * * *", "2026-11-21 06:29:59.999999", "2026-11-21 06:30:00"),
        ("30 6,18 * * *", "2026-11-21 06:30:00", "2026-11-21 18:30:00"),
        ("30 6,18 * * *", "2026-11-30 18:30:00", "2026-12-01 06:30:00"),
        ("5,35 9 * * *", "2026-11-21 09:05:00", "2026-11-21 09:35:00"),
        ("*/20 */12 * * *", "2026-11-21 00:41:00", "2026-11-21 12:00:00"),
        # 21 November 2026 is a Saturday
        ("0 6 * * mon-fri", "2026-11-20 06:00:00", "2026-11-23 06:00:00"),
        ("0 6 * * sat", "2026-11-21 05:00:00", "2026-11-21 06:00:00"),
        ("0 6 * * sat", "2026-11-21 06:00:00", "2026-11-28 06:00:00"),
        ("0 6 * * 0", "2026-11-21 06:00:00", "2026-11-22 06:00:00"),
        ("0 6 1-7 * mon", "2026-11-21 06:00:00", "2026-12-07 06:00:00"),
        ("0 0 31 * *", "2026-01-31 00:00:00", "2026-03-31 00:00:00"),
        ("0 0 31 4,5 *", "2026-03-31 00:00:00", "2026-05-31 00:00:00"),
        ("0 0 1 1 *", "2026-01-01 00:00:00", "2027-01-01 00:00:00"),
        ("0 0 29 2 *", "2026-01-01 00:00:00", "2028-02-29 00:00:00"),
        ("0 0 29 2 *", "2096-02-29 00:00:00", "2104-02-29 00:00:00"),
        ("0 0 29 2 mon", "2072-02-29 00:00:00", "2112-02-29 00:00:00"),
    ],
)
def test_a_crontab_is_due_at_its_next_moment(crontab, moment, following):
    assert after(crontab, moment) == following
    assert str(parse_schedule(crontab)) == crontab


def test_each_29_february_of_400_years_is_found_by_its_weekday():
    found = []
    for weekday in range(7):
        schedule = parse_schedule(f"0 0 29 2 {weekday}")
        moment = datetime(2000, 1, 1, tzinfo=UTC)
        while (moment := schedule.next_after(moment)).year < 2400:
            found.append(moment.year)
            assert (moment.month, moment.day, moment.isoweekday() % 7) == (2, 29, weekday)
    assert sorted(found) == [year for year in range(2000, 2400) if isleap(year)]


def test_a_moment_elsewhere_is_read_in_utc():
    moment = datetime(2026, 11, 21, 1, 0, tzinfo=timezone(timedelta(hours=5)))
    assert parse_schedule("0 22 * * *").next_after(moment) == datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
    assert parse_schedule("1h").next_after(moment).isoformat() == "2026-11-20T21:00:00+00:00"


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        ("9s", "'9s' is too often: 10s or longer"),
        (0, "0 is too often"),
        (True, "True is no duration"),
        (float("nan"), "nan is out of range"),
        ("soon", "'soon' is no duration: .* or a crontab of five fields in UTC, like '0 [*]/6 [*] [*] [*]'"),
        ("367d", "'367d' is out of range"),
        ("* * * *", "is no duration"),
        ("* * * * * *", "is no duration"),
        ("60 * * * *", "'60 [*] [*] [*] [*]' is no crontab: .*: write minute, hour, day of month, month, weekday"),
        ("* * 0 * *", "is no crontab"),
        ("* * * 13 *", "is no crontab"),
        ("* * * * 7", "is no crontab"),
        ("*/0 * * * *", "is no crontab"),
        ("1,,2 * * * *", "is no crontab"),
        ("a b c d e", "is no crontab"),
        ("0 0 31 2 *", "^'0 0 31 2 [*]' is no crontab: day_of_month '31' never occurs in month_of_year '2': write"),
        ("0 0 30 2 mon", "is no crontab"),
        ("0 0 31 4,6,9,11 *", "is no crontab"),
    ],
)
def test_what_cannot_be_read_or_never_comes_is_refused(schedule, problem):
    with pytest.raises(ValueError, match=problem):
        parse_schedule(schedule)
