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
from tests import forked
from tests.waiting import PATIENCE, eventually

SOURCE = Path(__file__).parent / "acme"
NUMBER = "+15035550100"

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
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, forked.SITE: str(site), "ACME_TOKEN": "s3cret", "COLUMNS": "200"}


def dialstock(site: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return forked.run([*forked.DIALSTOCK, *arguments], cwd=home, env=environment(site), timeout=300)


def fresh(site: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The console script, as its author starts it."""
    command = [str(Path(sys.executable).with_name("dialstock")), *arguments]
    return subprocess.run(
        command, cwd=home, env=environment(site), capture_output=True, text=True, check=False, timeout=300
    )


def bring(site: Path, module: str, code: str, name: str | None = None) -> None:
    """Install a distribution *module* 1.0 by hand that registers a kind *name*, its own, of a module with *code*."""
    site.mkdir(exist_ok=True)
    (site / f"{module}.py").write_text(code)
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[dialstock.providers]\n{name or module} = {module}:KIND\n")


def test_it_is_what_its_author_has_to_write() -> None:
    assert sum(len(path.read_text().splitlines()) for path in SOURCE.rglob("*.py")) < 200


def test_its_author_can_run_the_suite(site: Path, tmp_path: Path) -> None:
    done = fresh(site, tmp_path, "provider", "conformance", "acme", "--", "-q")
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
        command = [*forked.DIALSTOCK, *arguments]
        process = forked.start(command, cwd=home, env=environment(site), stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture
def up(site: Path, tmp_path: Path) -> Iterator[Path]:
    """The home of workers that buy from the sandbox."""
    config = tmp_path / "providers.toml"
    with running(site, tmp_path, "sandbox", "--port", "0", "--write-config", str(config)):
        eventually(config.exists, what="the sandbox's configuration")
        with running(site, tmp_path, "up", "--no-flower"):
            yield tmp_path


def test_a_number_is_bought_from_its_sandbox(site: Path, up: Path) -> None:
    checked = dialstock(site, up, "provider", "check", "acme")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    done = dialstock(site, up, "buy", NUMBER, "--provider", "acme", "--option", "label=desk", "--wait")
    assert done.returncode == 0, done.stdout + done.stderr + (up / "log").read_text()
    found = next(line for line in (up / "providers.toml").read_text().splitlines() if line.startswith("base_url"))
    with SandboxControl(found.split('"')[1].rsplit("/", 1)[0]) as control:
        assert [charge["number"] for charge in control.charges("acme")] == [NUMBER]


BROKEN = {
    "lost": ("import nothing_of_that_name", "lost:KIND cannot be imported (ModuleNotFoundError"),
    "loud": ("raise RuntimeError('no')", "loud:KIND cannot be imported (RuntimeError: no): update it, or take it out"),
    "five": ("KIND = 5", "five:KIND is a int and no ProviderKind"),
    "bare": (
        "from tasks.providers.kind import ProviderKind\nKIND = ProviderKind(name='bare')",
        "bare:KIND cannot be imported (TypeError",
    ),
    "other": (
        "from dataclasses import replace\nfrom tasks.providers.bird import KIND\nKIND = replace(KIND, name='vog')",
        "other:KIND calls itself 'vog', and is registered as 'other'",
    ),
    "short": (
        "from dataclasses import replace\nfrom tasks.providers.vogent import KIND as V\n"
        "class A:\n    lookup = 'none'\nKIND = replace(V, name='short', adapter=A)",
        "short:KIND has an adapter without can_search, max_batch",
    ),
    "rash": (
        "from dataclasses import replace\nfrom tasks.providers.vogent import KIND as V\n"
        "KIND = replace(V, name='rash', policy={'burst': 0})",
        "rash:KIND has a policy that is none",
    ),
}
"""What cannot be used, by the names of kind and distribution, and how it is told."""

OURS = TEAM.replace("acme", "vogent").replace('team = "t1"\n', "")


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all of them are installed."""
    site = tmp_path_factory.mktemp("broken")
    for module, (code, _) in BROKEN.items():
        bring(site, module, code)
    return site


def test_those_that_cannot_be_used_stop_no_other(broken: Path, tmp_path: Path) -> None:
    (tmp_path / "providers.toml").write_text(OURS)
    assert fresh(broken, tmp_path, "provider", "list").returncode == 0


@pytest.mark.parametrize("command", [("provider", "list"), ("worker",), ("doctor",)], ids=" ".join)
def test_each_that_cannot_be_used_is_named(broken: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    theirs = (OURS.replace("ours", f"of_{name}").replace('"vogent"', f'"{name}"') for name in BROKEN)
    (tmp_path / "providers.toml").write_text(OURS + "".join(theirs))
    done = dialstock(broken, tmp_path, *command)
    assert done.returncode == 2
    for place, (name, (_, told)) in enumerate(BROKEN.items(), 1):
        line = place * OURS.count("\n") + 2
        said = f"providers.toml:{line}: kind '{name}' cannot be used: {name} 1.0: {told}"
        assert said in done.stderr + done.stdout


@pytest.mark.parametrize("name", ["lost", "rash"])
def test_the_suite_is_not_run_for_one_that_cannot_be_used(broken: Path, tmp_path: Path, name: str) -> None:
    done = dialstock(broken, tmp_path, "provider", "conformance", name)
    assert done.returncode == 2
    assert f"{name} 1.0: {BROKEN[name][1]}" in done.stderr


def test_a_name_that_is_taken_leaves_ours_in_place(tmp_path: Path) -> None:
    code = (
        "from tasks.providers.bird import KIND as B\nfrom dataclasses import replace\nKIND = replace(B, name='vogent')"
    )
    bring(tmp_path / "site", "strange", code, "vogent")
    (tmp_path / "providers.toml").write_text(OURS)
    done = dialstock(tmp_path / "site", tmp_path, "provider", "list")
    assert done.returncode == 0
    assert "strange 1.0: the name 'vogent' is taken by another kind" in done.stderr
