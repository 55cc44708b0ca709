"""Statements are compiled once in a process of tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import dialect as postgresql
from sqlalchemy.dialects.sqlite import dialect as sqlite
from sqlalchemy.sql.compiler import SQLCompiler

from schemas.tables.purchases import PURCHASE
from tests.compiled import _Shared
from workers.database.connections import SqlDatabase


def test_engines_of_one_dialect_share_them_and_others_do_not() -> None:
    kept = _Shared()
    kept[sqlite(), "select 1"] = "compiled"
    assert (kept.get((sqlite(), "select 1")), kept.get((sqlite(), "select 2"))) == ("compiled", None)
    assert kept.get((postgresql(), "select 1")) is None


def test_another_engine_compiles_nothing_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(name: str) -> None:
        database = SqlDatabase(f"sqlite:///{tmp_path / name}")
        with database.write() as conn:
            PURCHASE.metadata.create_all(conn)
            conn.execute(select(PURCHASE.c.id, PURCHASE.c.number)).all()
        database.close()

    read("one.db")
    compiled: list[Any] = []
    monkeypatch.setattr(SQLCompiler, "visit_select", lambda _self, *given, **_more: compiled.append(given))
    read("two.db")
    assert compiled == []
