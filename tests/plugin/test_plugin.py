"""Kinds that other distributions bring: one that is built and installed as its own, and those that cannot be used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasks.sandbox import SandboxControl
from tests.waiting import eventually

SOURCE = Path(__file__).parent / "acme"
ROOT = Path(__file__).parents[2]
NUMBER = "+15035550100"
DIALSTOCK = str(Path(sys.executable).with_name("dialstock"))

TEAM = """\
[providers.ours]
kind = "acme"
base_url = "https://api.acme.example"
token_env = "ACME_TOKEN"
team = "t1"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the distribution of acme is installed."""
    folder = tmp_path_factory.mktemp("site")
    source = shutil.copytree(SOURCE, tmp_path_factory.mktemp("source") / "acme")
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "-q")
    subprocess.run([sys.executable, "-m", "pip", "install", *offline, "--target", folder, source], check=True)
    return folder


def environment(site: Path) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(site), str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "ACME_TOKEN": "s3cret", "COLUMNS": "200"}


def dialstock(site: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [DIALSTOCK, *arguments]
    return subprocess.run(
        command, cwd=home, env=environment(site), capture_output=True, text=True, check=False, timeout=300
    )


def bring(site: Path, name: str, code: str, value: str | None = None) -> Path:
    """Install a distribution `strange 1.0` by hand that registers a kind *name* of a module with *code*."""
    (site / "strange.py").write_text(code)
    info = site / "strange-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[dialstock.providers]\n{name} = {value or 'strange:KIND'}\n")
    return site


def test_it_is_what_its_author_has_to_write() -> None:
    assert sum(len(path.read_text().splitlines()) for path in SOURCE.rglob("*.py")) < 200


def test_its_author_can_run_the_suite(site: Path, tmp_path: Path) -> None:
    done = dialstock(site, tmp_path, "provider", "conformance", "acme", "--", "-q")
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


@pytest.mark.parametrize(
    ("before", "after", "test"),
    [
        (
            "        return lookups.look_list(self._page, numbers)",
            "        found = lookups.look_list(self._page, numbers)\n"
            "        return {n: Look(kind='absent') if one.kind == 'unclear' else one for n, one in found.items()}",
            "never_absent",
        ),
        ('needs=("next",)', 'needs=(), may=("next", "errors")', "never_absent"),
        (
            "self._session.purchase(",
            "self._session.purchase(self._path, {'number': ask.number}) and self._session.purchase(",
            "charged_once",
        ),
        ("{} if cursor is None else", "{} if cursor is None or True else", "every_page"),
    ],
)
def test_the_suite_sees_an_adapter_that_loses_money(
    site: Path, tmp_path: Path, before: str, after: str, test: str
) -> None:
    bad = shutil.copytree(site, tmp_path / "site")
    adapter = bad / "dialstock_acme" / "adapter.py"
    text = adapter.read_text()
    assert before in text
    adapter.write_text(text.replace(before, after))
    done = dialstock(bad, tmp_path, "provider", "conformance", "acme", "--", "-q", "-x", "-k", test)
    assert done.returncode == 1, done.stdout[-3000:]
    assert "failed" in done.stdout


def test_its_configuration_has_our_error_messages(site: Path, tmp_path: Path) -> None:
    (tmp_path / "providers.toml").write_text(TEAM.replace('team = "t1"\n', "taem = 1\n"))
    done = dialstock(site, tmp_path, "provider", "list")
    assert done.returncode == 2
    assert "providers.toml:5: unknown field 'taem': did you mean 'team'?" in done.stderr
    (tmp_path / "providers.toml").write_text(TEAM)
    assert "acme|t1" in dialstock(site, tmp_path, "provider", "list").stdout
    said = dialstock(site, tmp_path, "buy", NUMBER, "--provider", "ours", "--option", "lable=x").stderr
    assert "options.lable: unknown field" in said


@contextmanager
def running(site: Path, home: Path, *arguments: str) -> Iterator[None]:
    """A process of ours, which writes into the file `log`."""
    with (home / "log").open("a") as log:
        command = [DIALSTOCK, *arguments]
        process = subprocess.Popen(command, cwd=home, env=environment(site), stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def up(site: Path, tmp_path: Path) -> Iterator[Path]:
    """The home of workers that buy from the sandbox."""
    config = tmp_path / "providers.toml"
    with running(site, tmp_path, "sandbox", "--port", "0", "--write-config", str(config)):
        eventually(config.exists, what="the sandbox's configuration")
        with running(site, tmp_path, "up"):
            yield tmp_path


def test_a_number_is_bought_from_its_sandbox(site: Path, up: Path) -> None:
    checked = dialstock(site, up, "provider", "check", "acme")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    done = dialstock(site, up, "buy", NUMBER, "--provider", "acme", "--option", "label=desk", "--wait")
    assert done.returncode == 0, done.stdout + done.stderr + (up / "log").read_text()
    found = next(line for line in (up / "providers.toml").read_text().splitlines() if line.startswith("base_url"))
    with SandboxControl(found.split('"')[1].rsplit("/", 1)[0]) as control:
        assert [charge["number"] for charge in control.charges("acme")] == [NUMBER]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import nothing_of_that_name", "strange:KIND cannot be imported (ModuleNotFoundError"),
        ("raise RuntimeError('no')", "strange:KIND cannot be imported (RuntimeError: no): update it, or take it out"),
        ("KIND = 5", "strange:KIND is a int and no ProviderKind"),
        (
            "from tasks.providers.kind import ProviderKind\nKIND = ProviderKind(name='strange')",
            "strange:KIND cannot be imported (TypeError",
        ),
        (
            "from dataclasses import replace\nfrom tasks.providers.bird import KIND\nKIND = replace(KIND, name='vog')",
            "strange:KIND calls itself 'vog', and is registered as 'strange'",
        ),
        (
            "from dataclasses import replace\nfrom tasks.providers.vogent import KIND as V\n"
            "class A:\n    lookup = 'none'\nKIND = replace(V, name='strange', adapter=A)",
            "strange:KIND has an adapter without can_search, max_batch",
        ),
        (
            "from dataclasses import replace\nfrom tasks.providers.vogent import KIND as V\n"
            "KIND = replace(V, name='strange', policy={'burst': 0})",
            "strange:KIND has a policy that is none",
        ),
    ],
)
def test_one_that_cannot_be_used_is_named_and_stops_no_other(tmp_path: Path, code: str, told: str) -> None:
    site = bring(tmp_path / "site", "strange", code) if (tmp_path / "site").mkdir() is None else tmp_path
    ours = TEAM.replace("acme", "vogent").replace('team = "t1"\n', "")
    (tmp_path / "providers.toml").write_text(ours)
    assert dialstock(site, tmp_path, "provider", "list").returncode == 0
    (tmp_path / "providers.toml").write_text(ours + ours.replace("ours", "theirs").replace('"vogent"', '"strange"'))
    for command in (("provider", "list"), ("worker",), ("doctor",)):
        done = dialstock(site, tmp_path, *command)
        assert done.returncode == 2, command
        assert f"providers.toml:6: kind 'strange' cannot be used: strange 1.0: {told}" in done.stderr + done.stdout
    assert f"strange 1.0: {told}" in dialstock(site, tmp_path, "provider", "conformance", "strange").stderr


def test_a_name_that_is_taken_leaves_ours_in_place(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    code = (
        "from tasks.providers.bird import KIND as B\nfrom dataclasses import replace\nKIND = replace(B, name='vogent')"
    )
    site = bring(tmp_path / "site", "vogent", code)
    (tmp_path / "providers.toml").write_text(TEAM.replace("acme", "vogent").replace('team = "t1"\n', ""))
    done = dialstock(site, tmp_path, "provider", "list")
    assert done.returncode == 0
    assert "strange 1.0: the name 'vogent' is taken by another kind" in done.stderr
