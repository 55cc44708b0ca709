"""What deploy/ and the Procfile promise, as far as it can be checked without a container engine."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.engine import make_url

from tasks.providers.configured import load_config
from tasks.providers.registry import kinds
from tests.deploy.documents import compose
from tests.servers import PostgresServer
from tests.servers.postgres import find_package
from tests.servers.proxy import PostgresProxy
from tests.servers.redis import free_port
from tests.waiting import PATIENCE, eventually
from workers.processes.embedded_redis import find_server
from workers.settings import load_settings

MIGRATE = ["dialstock", "migrate", "--wait"]
ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
HTTP_DEADLINE = 30


def procfile() -> dict[str, list[str]]:
    lines = (ROOT / "Procfile").read_text().splitlines()
    return {name: shlex.split(command) for name, command in (line.split(": ", 1) for line in lines)}


def instructions(name: str) -> list[list[str]]:
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    return [line.split() for line in text.splitlines() if line.startswith(f"{name} ")]


class TestProcfile:
    def test_names_the_processes_that_run_until_they_are_stopped(self) -> None:
        """foreman and its like end all where one ends: nothing that is done once is among them."""
        assert set(procfile()) == {"worker", "beat", "flower"}

    @pytest.mark.parametrize("command", ["migrate", "worker", "beat", "flower", "doctor"])
    def test_each_command_that_deploy_uses_exists(self, command: str) -> None:
        program = Path(sys.executable).with_name("dialstock")
        done = subprocess.run(
            [program, command, "--help"], capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stderr

    def test_every_process_is_a_known_command(self) -> None:
        assert {tuple(command) for command in procfile().values()} == {("dialstock", name) for name in procfile()}


def needed_by(package: str) -> set[str]:
    """The package and all that it needs, by the metadata of what is installed."""
    requirements = map(Requirement, importlib.metadata.requires(package) or ())
    direct = [each.name for each in requirements if not each.marker or each.marker.evaluate({"extra": ""})]
    return {package}.union(*map(needed_by, direct))


class TestDockerfile:
    def test_what_it_copies_is_here_and_not_ignored(self) -> None:
        let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
        sources = {part for line in instructions("COPY") if "--from=build" not in line for part in line[1:-1]}
        assert sources
        assert sources <= let_in
        assert [source for source in sources if not (ROOT / source).exists()] == []

    def test_only_hashed_packages_go_in(self) -> None:
        installs = re.findall(r"pip install ([^\n&]*)", (DEPLOY / "Dockerfile").read_text())
        assert len(installs) == 3
        assert all("--require-hashes" in each or "--no-index" in each for each in installs)

    def test_the_build_backend_is_locked_whole(self) -> None:
        """The lines that the Dockerfile's awk keeps are all that hatchling needs."""
        program = re.search(r"awk '([^']*)'", (DEPLOY / "Dockerfile").read_text())
        assert program
        kept = subprocess.run(
            ["awk", program[1], ROOT / "requirements-dev.lock"], capture_output=True, text=True, check=True
        ).stdout
        assert set(re.findall(r"^([a-z-]+)==", kept, re.MULTILINE)) == needed_by("hatchling")
        assert all("--hash=sha256:" in line for line in kept.splitlines() if line.startswith(" "))

    def test_it_runs_as_an_ordinary_user_and_tells_the_health_of_its_process(self) -> None:
        assert instructions("USER")[-1][1] == "10001:10001"
        assert 'CMD ["dialstock", "doctor", "--alive"]' in " ".join(instructions("HEALTHCHECK")[0])

    def test_nothing_runs_embedded_in_it(self) -> None:
        assert "DIALSTOCK_EMBEDDED=no" in instructions("ENV")[-1]


class TestCompose:
    def test_a_worker_may_finish_its_calls(self) -> None:
        assert int(compose()["services"]["worker"]["stop_grace_period"].removesuffix("s")) > HTTP_DEADLINE

    def test_nothing_starts_before_the_tables_are_there(self) -> None:
        services = compose()["services"]
        assert services["release"]["command"][:3] == MIGRATE
        assert services["release"]["restart"] == "no"
        for name in ("worker", "beat", "flower"):
            assert services[name]["depends_on"]["release"]["condition"] == "service_completed_successfully"

    def test_postgres_is_ready_once_it_answers_over_tcp(self, postgres_server: PostgresServer, tmp_path: Path) -> None:
        """The image's first server, which sets up the database, listens on the socket only; so does the tests' own."""
        test = compose()["services"]["postgres"]["healthcheck"]["test"]
        assert test[:2] == ["CMD", "pg_isready"]
        package = find_package()
        assert package
        proxy = PostgresProxy(postgres_server.url)
        listened, unused = make_url(proxy.url).port, free_port()
        folder = Path(str(make_url(postgres_server.url).query["host"]))
        statuses = []
        for port in (unused, listened):
            (tmp_path / f".s.PGSQL.{port}").symlink_to(folder / ".s.PGSQL.5432")
            command = [package / "pginstall" / "bin" / "pg_isready", *test[2:]]
            environ = {"PGHOST": str(tmp_path), "PGPORT": str(port)}
            statuses.append(subprocess.run(command, env=environ, check=False, timeout=PATIENCE).returncode)
        proxy.close()
        assert statuses == [2, 0]

    def test_every_process_tells_whether_it_goes_on(self) -> None:
        """By the image's own check; Flower, whose loop that does not see, by a page."""
        services = compose()["services"]
        assert "healthcheck" not in services["worker"].keys() | services["beat"].keys()
        assert "127.0.0.1:5555/healthcheck" in services["flower"]["healthcheck"]["test"][-1]

    def test_a_provider_is_reached_with_a_file_or_with_a_variable(self, tmp_path: Path) -> None:
        worker = compose()["services"]["worker"]
        assert worker["env_file"] == [{"path": "./secrets/providers.env", "required": False}]
        assert stat.S_IMODE((new_secrets(tmp_path) / "providers.env").stat().st_mode) == 0o600
        assert "./secrets/providers:/run/secrets/providers:ro" in worker["volumes"]

    def test_the_configuration_is_seen_when_an_editor_replaces_it(self) -> None:
        """A file that is mounted alone stays the one that it was."""
        for name in ("worker", "beat", "flower", "release"):
            [mount] = [each for each in compose()["services"][name]["volumes"] if isinstance(each, dict)]
            assert (mount["source"], mount["target"]) == ("./config", "/etc/dialstock")
            assert mount["bind"] == {"create_host_path": False}

    def test_only_flower_has_a_port_and_only_for_this_machine(self) -> None:
        ports = {name: service["ports"] for name, service in compose()["services"].items() if "ports" in service}
        assert ports == {"flower": ["127.0.0.1:5555:5555"]}

    def test_every_secret_is_a_file_that_new_secrets_makes(self, tmp_path: Path) -> None:
        folder = new_secrets(tmp_path)
        document = compose()
        files = {name: secret["file"] for name, secret in document["secrets"].items()}
        used = {name for service in document["services"].values() for name in service.get("secrets", ())}
        assert used == set(files)
        for file in files.values():
            assert (folder.parent / file).is_file()

    def test_valkey_starts_with_its_password_and_keeps_it_off_the_command_line(self, tmp_path: Path) -> None:
        """The service's own command, with this machine's server and folders in place of the container's."""
        (tmp_path / "password").write_text("s3cr3t")
        (tmp_path / "valkey-server").symlink_to(find_server({}))
        service = compose()["services"]["valkey"]
        port = free_port()
        command = service["command"][0].replace("$$", "$").replace("/run/secrets/redis_password", "password")
        command = command.replace("dir /data", f"dir .\nport {port}\nbind 127.0.0.1")
        assert "s3cr3t" not in command
        environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        with subprocess.Popen([*service["entrypoint"], command], cwd=tmp_path, env=environ) as process:
            try:
                with Redis(port=port, password="s3cr3t") as client:
                    eventually(lambda: answers(client))
                    assert client.config_get("appendonly") == {"appendonly": "yes"}
            finally:
                process.terminate()
        assert process.returncode == 0


def answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False


def new_secrets(folder: Path) -> Path:
    script = shutil.copy(DEPLOY / "new-secrets", folder)
    subprocess.run(["sh", script], check=True, timeout=PATIENCE)
    return folder / "secrets"


class TestNewSecrets:
    def test_the_urls_are_ones_that_we_accept(self, tmp_path: Path) -> None:
        folder = new_secrets(tmp_path)
        settings = load_settings(
            {"DATABASE_URL_FILE": str(folder / "database_url"), "REDIS_URL_FILE": str(folder / "redis_url")}
        )
        assert (folder / "postgres_password").read_text() in settings.database_url
        assert (folder / "redis_password").read_text() in settings.redis_url

    def test_other_people_of_the_machine_are_kept_out(self, tmp_path: Path) -> None:
        assert stat.S_IMODE(new_secrets(tmp_path).stat().st_mode) == 0o700

    def test_a_second_run_keeps_the_passwords(self, tmp_path: Path) -> None:
        before = {path.name: path.read_text() for path in new_secrets(tmp_path).iterdir() if path.is_file()}
        after = {path.name: path.read_text() for path in new_secrets(tmp_path).iterdir() if path.is_file()}
        assert before == after
        assert len(set(before.values())) == len(before) == 6


def test_the_example_configuration_shows_every_kind() -> None:
    config = load_config(ROOT / "providers.example.toml")
    assert {provider.kind for provider in config.providers.values()} == set(kinds())
