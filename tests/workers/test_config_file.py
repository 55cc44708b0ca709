"""The file as it changes: taken over whole or not at all, once it is at rest, and loudly where not."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from schemas.config.errors import ConfigError
from schemas.config.file import Config
from tests.workers.test_wiring import TWO
from workers.config_file import AGAIN, LOOK_EVERY, ConfigFile, read_right_parts, read_source
from workers.settings import load_settings

POOL = '\n[pools.support]\nproviders = ["one"]\nprefix = "415"\nlow = 1\ntarget = 2\ndaily_limit = 0\n'
SOON = 4
"""Looks, a second apart, after which a change is in force or refused."""


@dataclass
class Desk:
    """A file, a process that follows it, and its clock."""

    path: Path
    now: float = 100.0
    taken: list[Config] = field(default_factory=list)
    refuses: Exception | None = None

    def __post_init__(self) -> None:
        self.path.write_text(TWO)
        self.settings = replace(load_settings({}), config_path=self.path)
        self.file = ConfigFile(self.settings, read_source(self.settings), self.take, lambda: self.now)

    def take(self, config: Config) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.taken.append(config)

    def look(self, times: int = 1) -> bool:
        changed = False
        for _ in range(times):
            changed = self.file.look() or changed
            self.now += LOOK_EVERY
        return changed


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "providers.toml")


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_nothing_happens_where_nothing_changes(desk: Desk) -> None:
    assert not desk.look(10)
    desk.path.touch()
    assert not desk.look(10)
    assert not desk.file.differs()
    assert desk.taken == []


def test_a_change_is_in_force_within_five_seconds_and_once(desk: Desk) -> None:
    before = desk.file.config.digest
    desk.path.write_text(TWO + POOL)
    assert desk.file.differs()
    assert desk.look(SOON)
    assert [[*one.pools] for one in desk.taken] == [["support"]]
    assert desk.file.config is desk.taken[0]
    assert desk.file.config.digest != before
    assert not desk.file.differs()
    assert not desk.look(10)
    desk.path.write_text(TWO)
    assert desk.look(SOON)
    assert desk.file.config.digest == before


def test_a_file_that_is_being_written_is_not_believed(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    whole = TWO + POOL
    # each part is a whole table, or none: neither is taken over nor told of
    for end in (len(TWO) // 2, len(TWO) // 2 + 9, len(TWO) + 30, len(whole) - 5):
        desk.path.write_text(whole[:end])
        assert not desk.look()
    assert (desk.taken, errors(caplog), desk.file.refused) == ([], [], None)
    desk.path.write_text(whole)
    assert desk.look(SOON)
    assert errors(caplog) == []


def test_a_half_file_that_is_whole_a_moment_later_is_not_told_of(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.path.write_text("[providers.one")
    desk.look(2)
    desk.path.write_text(TWO + POOL)
    assert desk.look(SOON)
    assert errors(caplog) == []


@pytest.mark.parametrize("fault", ["[", TWO + "[pools.x]\n", "", "\udcff", None])
def test_a_fault_keeps_what_there_is_and_is_told_once(
    desk: Desk, caplog: pytest.LogCaptureFixture, fault: str | None
) -> None:
    before = desk.file.config
    if fault is None:
        desk.path.unlink()
    else:
        desk.path.write_bytes(fault.encode(errors="surrogateescape"))
    assert not desk.look(SOON)
    assert str(desk.path) in (desk.file.refused or "")
    assert desk.file.config is before
    assert not desk.look(30)
    assert len(errors(caplog)) == 1
    assert "NOT taken over" in errors(caplog)[0]
    # another content is another error
    desk.path.write_text("[[")
    desk.look(SOON)
    assert len(errors(caplog)) == 2
    desk.path.write_text(TWO)
    assert not desk.look()
    assert desk.file.refused is None


def test_what_must_not_be_in_force_is_refused_and_tried_again(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.refuses = ConfigError("one is another account")
    desk.path.write_text(TWO + POOL)
    assert not desk.look(SOON)
    assert desk.file.refused == "one is another account"
    desk.refuses = ConfigError("one is another account, with 3 purchases")
    assert not desk.look(int(AGAIN) + 1)
    assert desk.file.refused == "one is another account, with 3 purchases"
    assert len(errors(caplog)) == 1
    # what stood in its way is mended elsewhere: the file needs no other edit
    desk.refuses = None
    assert desk.look(int(AGAIN) + 1)
    assert (len(desk.taken), desk.file.refused) == (1, None)


def test_what_cannot_be_taken_over_now_is_as_soon_as_it_can_be(desk: Desk) -> None:
    desk.path.write_text(TWO + POOL)
    desk.look()
    desk.refuses = OperationalError("x", {}, Exception())
    for _ in range(3):
        with pytest.raises(OperationalError):
            desk.look()
        desk.now += LOOK_EVERY
    assert desk.file.refused is None
    desk.refuses = None
    assert desk.look()


def test_a_comment_and_another_order_change_nothing(desk: Desk) -> None:
    one, two = TWO.split("\n\n")
    desk.path.write_text(f"# mine\n{two}\n\n{one}\n[providers.one.policy]\ntimeout = 30.0\n")
    assert not desk.look(SOON)
    assert desk.taken == []
    assert not desk.file.differs()


def test_a_link_that_is_pointed_elsewhere_is_a_change(desk: Desk, tmp_path: Path) -> None:
    """As a mounted ConfigMap has it."""
    link = tmp_path / "..data"
    for name, text in (("first", TWO), ("second", TWO + POOL)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "providers.toml").write_text(text)
    link.symlink_to("first")
    desk.path.unlink()
    desk.path.symlink_to("..data/providers.toml")
    assert not desk.look(SOON)
    new = tmp_path / "..new"
    new.symlink_to("second")
    new.rename(link)
    assert desk.look(SOON)


def test_a_sandbox_has_no_file(desk: Desk) -> None:
    settings = replace(desk.settings, sandbox_url="http://127.0.0.1:8790")
    file = ConfigFile(settings, read_source(settings), desk.take)
    desk.path.write_text("[")
    assert not file.look()
    assert not file.differs()


def test_a_digest_tells_no_secret_and_is_of_what_is_said(desk: Desk, tmp_path: Path) -> None:
    digest = desk.file.config.digest
    elsewhere = tmp_path / "elsewhere" / "providers.toml"
    elsewhere.parent.mkdir()
    for text in (TWO + POOL, TWO + POOL + 'stock_file = "x.csv"\n'):
        found = set()
        for path in (desk.path, elsewhere):
            path.write_text(text)
            found.add(read_source(replace(desk.settings, config_path=path)).config.digest)
        assert len(found) == 1, "wherever it is mounted"
        assert digest not in found
    desk.path.write_text(TWO.replace("ONE_TOKEN", "OTHER_TOKEN"))
    assert read_source(desk.settings).config.digest != digest


def test_what_is_right_goes_on_beside_what_is_wrong(desk: Desk) -> None:
    bad = POOL.replace("low = 1", "low = 0").replace("support", "bad")
    on_two = POOL.replace("support", "other").replace('"one"', '"two"')
    desk.path.write_text(TWO.replace('token_env = "TWO_TOKEN"', "") + POOL + bad + on_two)
    config, wrong = read_right_parts(desk.settings)
    assert ([*config.providers], [*config.pools]) == (["one"], ["support"])
    assert len(str(wrong).splitlines()) == 2
    with pytest.raises(ConfigError):
        read_source(desk.settings)
    desk.path.write_text("[")
    with pytest.raises(ConfigError, match="is not TOML"):
        read_right_parts(desk.settings)


def test_a_change_of_an_accounts_file_is_a_change(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    table = '[providers.many]\nkind = "signalwire"\nbase_url = "https://x.example"\ntoken_env = "T"\n'
    accounts = desk.path.with_name("many.toml")
    accounts.write_text('[a]\nproject_id = "a"\n')
    desk.path.write_text(f'{TWO}\n{table}accounts_file = "many.toml"\n')
    assert desk.look(SOON)
    before = desk.file.config
    accounts.write_text('[a]\nproject_id = "a"\n[b]\nproject_id = "b"\n')
    assert desk.file.differs()
    assert desk.look(SOON)
    assert desk.file.config.providers.keys() - before.providers.keys() == {"many:b"}
    assert desk.file.config.digest != before.digest
    assert not desk.file.differs()
    # what was cut off, or is gone, takes no account away
    for spoil in (lambda: accounts.write_text(""), accounts.unlink):
        spoil()
        assert not desk.look(SOON)
        assert "many.toml" in (desk.file.refused or "")
        assert "many:b" in desk.file.config.providers
    assert len(errors(caplog)) == 2
    accounts.write_text('[b]\nproject_id = "b"\n')
    assert desk.look(SOON)
    assert "many:a" not in desk.file.config.providers
