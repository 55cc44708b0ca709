"""One statement that writes many rows, for what is written again and again: the driver sends `executemany` row by row.

PostgreSQL reads the rows out of one parameter. SQLite runs the statement for each row: there is nobody to ask.
https://www.postgresql.org/docs/current/functions-json.html (json_to_recordset)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Insert,
    Table,
    TableValuedAlias,
    Text,
    Update,
    bindparam,
    cast,
    column,
    func,
    insert,
    select,
    update,
)

from tasks.ledger.among import among

Columns = Mapping[str, Column[Any]]
Statement = TypeVar("Statement", Insert, Update)


@dataclass(frozen=True)
class ManyRows(Generic[Statement]):
    """A statement for rows of the same names: `each` for one, whose values are its parameters, `together` for all.

    By what they have as *key*, the rows of the table are found.
    """

    each: Statement
    together: Statement
    key: str | None = None

    def write(self, conn: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Write *rows*, each of which is about another row of the table. Returns how many an update found."""
        if len(rows) == 1 or conn.dialect.name != "postgresql":
            return conn.execute(self.each, rows).rowcount
        given = json.dumps(rows, ensure_ascii=False, default=datetime.isoformat)
        found = {"found": [row[self.key] for row in rows]} if self.key else {}
        return conn.execute(self.together, {"given": given, **found}).rowcount


def inserting(table: Table, *names: str) -> ManyRows[Insert]:
    """The insert of rows that have a value for each of *names*."""
    given = _given({name: table.c[name] for name in names})
    return ManyRows(insert(table), insert(table).from_select(names, select(*given.c)))


def updating(table: Table, keys: Columns, names: Sequence[str]) -> ManyRows[Update]:
    """The update of what stands at *keys*, columns by the names of what they are compared with, in columns *names*.

    The first of them finds the rows, by its index.
    """
    columns = {**keys, **{name: table.c[name] for name in names}}
    given, own = _given(columns), {name: bindparam(name, type_=at.type) for name, at in columns.items()}
    each, together = (
        update(table).where(*(at == of[key] for key, at in keys.items())).values({name: of[name] for name in names})
        for of in (own, given.c)
    )
    # The server takes what is given for a hundred rows, and to join those would read all of the table.
    key = next(iter(keys))
    return ManyRows(each, together.where(among(keys[key], "found")), key)


def _given(columns: Columns) -> TableValuedAlias:
    """The rows of the parameter `given`, with the types of *columns*."""
    rows = func.json_to_recordset(cast(bindparam("given", type_=Text), JSON))
    # Without a name each draws one by chance.
    named = rows.table_valued(*(column(name, at.type) for name, at in columns.items()), name="given")
    return named.render_derived(name="given", with_types=True)
