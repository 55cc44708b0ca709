"""A column among several values, for what is asked again and again: SQLAlchemy spells each `IN` out at each execution.

Where the values differ, each count of them is a statement of its own, which the driver formats and the server parses
and plans anew. PostgreSQL takes an array in one parameter, and the driver prepares the statement.
https://www.psycopg.org/psycopg3/docs/advanced/prepare.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ARRAY, Column, ColumnElement, TextClause, any_, bindparam, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from schemas.tables.columns import quoted


def any_of(column: Column[Any], values: Iterable[str]) -> TextClause:
    """Whether *column* is one of *values*, which are always the same, and none of a user's."""
    return text(f"{column.table.name}.{column.name} IN ({quoted(values)})")


class among(FunctionElement[bool]):  # noqa: N801 - it reads as what it stands for
    """Whether *column* is one of the values that are given as parameter *name* when the statement runs."""

    # No type: SQLite would be asked for `(...) = 1`, for which it finds no index.
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        super().__init__(column, bindparam(name, type_=column.type, expanding=True))


@compiles(among)
def _in(element: among, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = element.clauses
    return compiler.process(column.in_(values), **kw)


@compiles(among, "postgresql")
def _any(element: among, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = element.clauses
    return compiler.process(column == any_(bindparam(values.key, type_=ARRAY(column.type))), **kw)
