"""Every change of a purchase's status, written down by the database itself: the table shows only the last one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, text

_TABLE = "CREATE TABLE chaos_history (purchase_id VARCHAR(36), before VARCHAR(12), after VARCHAR(12), at {time})"
_SQLITE = """
CREATE TRIGGER chaos_history_trigger AFTER UPDATE OF status ON purchase WHEN old.status <> new.status BEGIN
  INSERT INTO chaos_history VALUES (new.id, old.status, new.status, new.updated_at);
END
"""
_POSTGRES = """
CREATE FUNCTION chaos_history_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO chaos_history VALUES (new.id::text, old.status, new.status, new.updated_at);
  RETURN NULL;
END $$;
CREATE TRIGGER chaos_history_trigger AFTER UPDATE OF status ON purchase FOR EACH ROW
  WHEN (old.status <> new.status) EXECUTE FUNCTION chaos_history_note();
"""


def keep_history(engine: Engine) -> None:
    """Begin to write down; the trigger is part of each transaction, so nothing is missed or invented."""
    postgres = engine.dialect.name == "postgresql"
    with engine.begin() as connection:
        connection.exec_driver_sql(_TABLE.format(time="timestamptz" if postgres else "TEXT"))
        connection.exec_driver_sql(_POSTGRES if postgres else _SQLITE)


def read_history(connection: Connection) -> dict[str, list[tuple[str, str, datetime]]]:
    """The changes of each purchase, in order: status before, status after, when."""
    order = "ctid" if connection.dialect.name == "postgresql" else "rowid"
    changes: dict[str, list[tuple[str, str, datetime]]] = {}
    for found in connection.execute(text(f"SELECT * FROM chaos_history ORDER BY {order}")):
        changes.setdefault(found[0], []).append((found[1], found[2], _moment(found[3])))
    return changes


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
