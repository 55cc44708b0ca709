import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.waiting import eventually, is_gone
from tests.workers.cli.commands import choose_sandbox
from workers.launch import WITH_PARENT, celery_command

PARENT = """
import os, subprocess, sys, time
script = (
    "import os, sys, time; from workers.launch import stop_with; "
    "stop_with(int(sys.argv[1])); print(os.getpid(), flush=True); time.sleep(60)"
)
subprocess.Popen([sys.executable, "-c", script, str(os.getpid())])
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_a_tied_child_goes_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    eventually(lambda: is_gone(child), what="the child goes")


def test_a_child_whose_parent_went_before_does_not_begin() -> None:
    command = [sys.executable, "-m", "workers.launch", WITH_PARENT, "1", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_celery_runs_on_our_app(tmp_path: Path) -> None:
    choose_sandbox(tmp_path)
    environ = {**os.environ, "REDIS_URL": "redis://127.0.0.1:1/0", "DIALSTOCK_HOME": str(tmp_path)}
    done = subprocess.run(
        celery_command(["report"], with_parent=True),
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "purchases.signalwire" in done.stdout


def test_garbage_is_searched_for_once_all_is_imported_and_not_in_that(tmp_path: Path) -> None:
    choose_sandbox(tmp_path)
    environ = {**os.environ, "REDIS_URL": "redis://127.0.0.1:1/0", "DIALSTOCK_HOME": str(tmp_path)}
    script = (
        "import atexit, gc, sys; from workers.launch import main; "
        "atexit.register(lambda: print(gc.isenabled(), gc.get_freeze_count() > 10_000, file=sys.stderr)); "
        "main(['--version'])"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1:] == ["True True"], done.stderr


@pytest.mark.parametrize(
    ("lacks", "told"),
    [
        ("import flower.views.monitor; del flower.views.monitor.Metrics", "cannot import name 'Metrics'"),
        ("del flower.urls.handlers", "has no attribute 'handlers'"),
        ("del flower.options.options._options['read-only']", "the option read_only"),
    ],
)
def test_a_flower_that_lacks_what_the_pages_build_on_goes_on_without_them(
    tmp_path: Path, lacks: str, told: str
) -> None:
    choose_sandbox(tmp_path)
    environ = {**os.environ, "REDIS_URL": "redis://127.0.0.1:1/0", "DIALSTOCK_HOME": str(tmp_path)}
    script = f"import flower.options, flower.urls; {lacks}; from workers.launch import mount_pages; mount_pages()"
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert told in done.stderr
    assert "The rest of Flower goes on" in done.stderr


@pytest.mark.parametrize(
    ("environ", "status", "message"),
    [
        ({"REDIS_URL": "http://127.0.0.1"}, 2, "scheme 'http' is not supported"),
        ({"REDIS_URL": "redis://127.0.0.1:1", "DIALSTOCK_CONFIG": "bad.toml"}, 2, "bad.toml:1: is not TOML"),
        ({"REDIS_URL": "", "REDIS_SERVER": "no-such-program"}, 3, "REDIS_SERVER names no-such-program"),
    ],
)
def test_what_keeps_it_from_starting_is_told_in_a_line(
    tmp_path: Path, environ: dict[str, str], status: int, message: str
) -> None:
    (tmp_path / "bad.toml").write_text("[")
    choose_sandbox(tmp_path)
    done = subprocess.run(
        celery_command(["report"]),
        env={**os.environ, "DIALSTOCK_HOME": str(tmp_path), **environ},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr
