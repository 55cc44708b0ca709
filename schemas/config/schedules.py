"""When something is due again: after a duration, or by a crontab in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from schemas.config.rates import parse_duration

MIN_SECONDS = 10.0

# 29 February on a given weekday comes round after 40 years at most
_MOST_DAYS = 41 * 366


@dataclass(frozen=True)
class Crontab:
    """The moments of five crontab fields in UTC; a day must fit all of day, month and weekday, as in Celery.

    times: rising, of each such day; weekdays: 0 is Sunday.
    """

    times: tuple[time, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    def after(self, moment: datetime) -> datetime:
        """The first of its moments later than *moment*, which is in UTC."""
        for ahead in range(_MOST_DAYS):
            day = moment.date() + timedelta(days=ahead)
            if day.day not in self.days or day.month not in self.months or day.isoweekday() % 7 not in self.weekdays:
                continue
            for at in self.times:
                if (found := datetime.combine(day, at, UTC)) > moment:
                    return found
        raise ValueError("there is no such day")


@dataclass(frozen=True)
class Schedule:
    """`text` as the configuration has it, and what it says: a pause in seconds, or a crontab."""

    text: str
    rule: float | Crontab

    def next_after(self, moment: datetime) -> datetime:
        """When it is due, in UTC, if it was last at *moment*, which knows its time zone."""
        if isinstance(self.rule, Crontab):
            return self.rule.after(moment.astimezone(UTC))
        return moment.astimezone(UTC) + timedelta(seconds=self.rule)

    def __str__(self) -> str:
        return self.text


def parse_schedule(value: Any) -> Schedule:
    """Read a duration of 10 s or more ('90s', '5m', seconds), or a crontab of five fields. Raises ValueError."""
    if isinstance(value, Schedule):
        return value
    if isinstance(value, str) and len(value.split()) == 5:
        return Schedule(text=" ".join(value.split()), rule=_crontab(value))
    try:
        seconds = parse_duration(value)
    except ValueError as exc:
        raise ValueError(f"{exc}, or a crontab of five fields in UTC, like '0 */6 * * *'") from exc
    if seconds < MIN_SECONDS:
        raise ValueError(f"{value!r} is too often: {MIN_SECONDS:.0f}s or longer")
    return Schedule(text=value.strip() if isinstance(value, str) else f"{value}s", rule=seconds)


def _crontab(text: str) -> Crontab:
    from celery.schedules import ParseException, crontab  # noqa: PLC0415 - slow, and most schedules are durations

    try:
        # Celery's own search for the next moment takes the time zone of whichever app is current
        fields: Any = crontab.from_string(" ".join(text.split()))
    except (ParseException, ValueError) as exc:
        why = str(exc).removeprefix("Invalid crontab: ").rstrip(".")
        mend = "write minute, hour, day of month, month, weekday, like '0 6 * * mon'"
        raise ValueError(f"{text!r} is no crontab: {why}: {mend}") from exc
    return Crontab(
        times=tuple(time(hour, minute) for hour in sorted(fields.hour) for minute in sorted(fields.minute)),
        days=frozenset(fields.day_of_month),
        months=frozenset(fields.month_of_year),
        weekdays=frozenset(fields.day_of_week),
    )


ScheduleText = Annotated[Schedule, BeforeValidator(parse_schedule), PlainSerializer(str)]
