"""The embedded server, with real processes that come, go and are killed."""

import importlib.util
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.retry import Retry

from tests.waiting import PATIENCE, eventually, is_gone
from workers.processes import embedded_redis
from workers.processes.embedded_redis import EmbeddedError, connect_embedded, find_server
from workers.processes.redis_supervisor import Files, lock, try_lock

USER = """
import sys
from pathlib import Path
from workers.processes.embedded_redis import connect_embedded
with connect_embedded(Path(sys.argv[1])) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""
COUNTER = """
import sys
from pathlib import Path
from redis import Redis
from redis.backoff import NoBackoff
from workers.processes.embedded_redis import connect_embedded
for _ in range(int(sys.argv[2])):
    with connect_embedded(Path(sys.argv[1])) as server, Redis.from_url(server.url) as client:
        client.incr("rounds")
"""


class User:
    """Another process that uses the server until it is told to go."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def url(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.communicate(timeout=PATIENCE)

    def kill(self) -> None:
        self.process.kill()
        self.end()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / 'a "home" with spaces'
    yield folder
    eventually(lambda: not (folder / "redis" / "url").exists(), what="the server goes after the test")


@pytest.fixture
def start_user(home: Path) -> Iterator[Callable[[], User]]:
    with ExitStack() as stack:

        def start() -> User:
            user = User(home)
            stack.callback(user.kill)
            return user

        yield start


def server_process(url: str) -> psutil.Process:
    with Redis.from_url(url) as client:
        return psutil.Process(client.info("server")["process_id"])


def count(url: str, key: str) -> int:
    with Redis.from_url(url) as client:
        return int(client.incr(key))


def test_it_keeps_every_write_and_asks_for_a_password(home: Path) -> None:
    with connect_embedded(home) as server, Redis.from_url(server.url) as client:
        assert client.config_get("appendonly", "appendfsync", "maxmemory-policy", "bind") == {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "bind": "127.0.0.1",
        }
        port = client.connection_pool.connection_kwargs["port"]
        with Redis(port=port, retry=Retry(NoBackoff(), 0)) as stranger, pytest.raises(AuthenticationError):
            stranger.ping()


def test_only_this_user_can_read_the_password(home: Path) -> None:
    with connect_embedded(home) as server, Redis.from_url(server.url) as client:
        url_file = home / "redis" / "url"
        assert url_file.read_text() == server.url
        assert stat.S_IMODE(url_file.stat().st_mode) == 0o600
        assert stat.S_IMODE(url_file.parent.stat().st_mode) == 0o700
        password = client.connection_pool.connection_kwargs["password"]
        process = server_process(server.url)
        for each in (process, process.parent()):
            assert each is not None
            assert password not in " ".join(each.cmdline())
        assert password not in (home / "redis" / "server.log").read_text()


def test_all_users_share_one_server(home: Path, start_user: Callable[[], User]) -> None:
    users = [start_user() for _ in range(4)]
    urls = {user.url() for user in users}
    with connect_embedded(home) as server:
        assert urls == {server.url}


def test_it_goes_with_its_last_user_and_the_data_and_the_address_stay(
    home: Path, start_user: Callable[[], User]
) -> None:
    first, second = start_user(), start_user()
    url = first.url()
    assert second.url() == url
    process = server_process(url)
    count(url, "numbers")
    first.end()
    with connect_embedded(home):
        second.end()
        assert count(url, "numbers") == 2
    eventually(lambda: is_gone(process))
    with connect_embedded(home) as again:
        assert again.url == url
        assert count(again.url, "numbers") == 3


def test_a_user_that_is_killed_gives_it_up_too(start_user: Callable[[], User]) -> None:
    user = start_user()
    process = server_process(user.url())
    user.kill()
    eventually(lambda: is_gone(process))


def test_a_server_that_dies_comes_back_with_its_data(home: Path) -> None:
    with connect_embedded(home) as server:
        count(server.url, "numbers")
        process = server_process(server.url)
        process.kill()
        eventually(lambda: is_gone(process))

        def counted_again() -> int:
            try:
                return count(server.url, "numbers")
            except RedisError:
                return 0

        assert eventually(counted_again) == 2


def test_a_killed_supervisor_is_replaced_and_no_second_server_opens_the_data(home: Path) -> None:
    with connect_embedded(home) as server:
        count(server.url, "numbers")
        orphan = server_process(server.url)
        supervisor = orphan.parent()
        assert supervisor is not None
        supervisor.kill()
        eventually(lambda: is_gone(supervisor))
        with connect_embedded(home) as again:
            # An ending process closes its files, its lock among them, a moment before it is gone.
            eventually(lambda: is_gone(orphan))
            assert again.url == server.url
            assert count(again.url, "numbers") == 2
            process = server_process(again.url)
    eventually(lambda: is_gone(process))


def test_a_server_that_is_about_to_be_replaced_is_given_to_nobody(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor that takes over has begun, and has ended nothing yet."""
    with connect_embedded(home) as server, ExitStack() as stack:
        orphan = server_process(server.url)
        supervisor = orphan.parent()
        assert supervisor is not None
        supervisor.kill()
        eventually(lambda: is_gone(supervisor))
        monkeypatch.setattr(embedded_redis, "START_TIMEOUT", 0.2)

        def begin(files: Files, _program: str) -> None:
            stack.callback(os.close, lock(files.supervisor))

        monkeypatch.setattr(embedded_redis, "_start_supervisor", begin)
        with pytest.raises(EmbeddedError, match="did not answer"):
            connect_embedded(home)
        orphan.kill()
        eventually(lambda: is_gone(orphan))


def test_a_supervisor_that_is_told_to_stop_takes_the_server_along(home: Path) -> None:
    with connect_embedded(home) as server:
        process = server_process(server.url)
        supervisor = process.parent()
        assert supervisor is not None
        supervisor.terminate()
        eventually(lambda: is_gone(process))


def test_starts_and_stops_at_the_same_time_lose_nothing(home: Path) -> None:
    commands = [[sys.executable, "-c", COUNTER, str(home), "5"]] * 4
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait(PATIENCE) for process in processes] == [0, 0, 0, 0]
    with connect_embedded(home) as server:
        assert count(server.url, "rounds") == 21


def test_ctrl_c_in_the_terminal_does_not_reach_it(home: Path) -> None:
    with connect_embedded(home) as server:
        process = server_process(server.url)
        supervisor = process.parent()
        assert supervisor is not None
        for each in (process, supervisor):
            assert os.getsid(each.pid) != os.getsid(0)


def test_it_holds_no_pipe_of_the_process_that_started_it(home: Path, start_user: Callable[[], User]) -> None:
    user = start_user()
    url = user.url()
    with connect_embedded(home):
        user.end()  # reads until the pipe's last writer is gone
        assert server_process(url).is_running()


def test_a_forked_child_that_goes_leaves_the_parent_its_use(home: Path) -> None:
    with connect_embedded(home) as server:
        child = os.fork()
        if child == 0:
            server.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert try_lock(Files(home).users) is None


def test_a_home_that_is_removed_takes_the_server_with_its_users(tmp_path: Path) -> None:
    with connect_embedded(tmp_path / "home") as server:
        process = server_process(server.url)
        shutil.rmtree(tmp_path / "home")
        assert count(server.url, "numbers") == 1
    eventually(lambda: is_gone(process))
    assert not (tmp_path / "home").exists()


def test_close_may_be_called_twice(home: Path) -> None:
    server = connect_embedded(home)
    server.close()
    server.close()


def test_a_program_that_does_not_start_says_why(home: Path, tmp_path: Path) -> None:
    program = tmp_path / "broken-server"
    program.write_text("#!/bin/sh\necho 'No space left on device' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(EmbeddedError, match="No space left on device"):
        connect_embedded(home, {"REDIS_SERVER": str(program)})


def test_a_home_that_is_no_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedError, match="cannot be used"):
        connect_embedded(tmp_path / "file")


class TestFindServer:
    def test_the_wheel_has_one(self) -> None:
        assert find_server({"PATH": ""}).endswith("/valkey-server")

    def test_the_variable_comes_first(self, tmp_path: Path) -> None:
        program = tmp_path / "my-server"
        program.touch(mode=0o755)
        assert find_server({"REDIS_SERVER": str(program)}) == str(program)

    def test_a_variable_that_names_nothing_is_an_error(self) -> None:
        with pytest.raises(EmbeddedError, match="REDIS_SERVER names /nowhere/redis, which is no program"):
            find_server({"REDIS_SERVER": "/nowhere/redis"})

    def test_without_the_wheel_the_path_is_searched(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
        (tmp_path / "redis-server").touch(mode=0o755)
        assert find_server({"PATH": str(tmp_path)}) == str(tmp_path / "redis-server")

    def test_without_any_it_says_what_to_do(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
        with pytest.raises(EmbeddedError, match="set REDIS_URL"):
            find_server({"PATH": str(tmp_path)})
