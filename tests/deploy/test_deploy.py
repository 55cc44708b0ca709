"""What deploy/ and the Procfile promise, as far as it can be checked without a container engine."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from redis import Redis
from redis.exceptions import RedisError

from tasks.providers.configured import load_config, parse_config
from tasks.providers.registry import kinds
from tests.servers import unavailable
from tests.servers.redis import free_port
from tests.waiting import PATIENCE, eventually
from workers.processes.embedded_redis import find_server
from workers.settings import load_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
HTTP_DEADLINE = 30


def load_all(path: Path) -> list[Any]:
    if importlib.util.find_spec("yaml") is None:
        unavailable("PyYAML", "it is one of the development packages, see `make setup`")
    import yaml  # noqa: PLC0415 - may be missing

    return list(yaml.safe_load_all(path.read_text()))


def compose() -> dict[str, Any]:
    return dict(load_all(DEPLOY / "compose.yaml")[0])


def manifests(kind: str) -> dict[str, Any]:
    found = [each for path in sorted((DEPLOY / "kubernetes").rglob("*.yaml")) for each in load_all(path)]
    return {each["metadata"]["name"]: each for each in found if each["kind"] == kind}


def pod(manifest: dict[str, Any]) -> dict[str, Any]:
    return dict(manifest["spec"]["template"]["spec"])


def procfile() -> dict[str, list[str]]:
    lines = (ROOT / "Procfile").read_text().splitlines()
    return {name: shlex.split(command) for name, command in (line.split(": ", 1) for line in lines)}


def instructions(name: str) -> list[list[str]]:
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    return [line.split() for line in text.splitlines() if line.startswith(f"{name} ")]


class TestProcfile:
    def test_names_the_four_processes(self) -> None:
        assert set(procfile()) == {"release", "worker", "beat", "flower"}

    @pytest.mark.parametrize("command", ["migrate", "worker", "beat", "flower", "doctor"])
    def test_each_command_that_deploy_uses_exists(self, command: str) -> None:
        program = Path(sys.executable).with_name("dialstock")
        done = subprocess.run(
            [program, command, "--help"], capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stderr

    def test_every_process_is_a_known_command(self) -> None:
        assert {tuple(command) for command in procfile().values()} == {
            ("dialstock", name) for name in ("migrate", "worker", "beat", "flower")
        }


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

    def test_it_runs_as_an_ordinary_user_and_tells_its_health(self) -> None:
        assert instructions("USER")[-1][1] not in ("0", "root")
        assert 'CMD ["dialstock", "doctor", "--quick"]' in " ".join(instructions("HEALTHCHECK")[0])


class TestCompose:
    def test_a_worker_may_finish_its_calls(self) -> None:
        assert int(compose()["services"]["worker"]["stop_grace_period"].removesuffix("s")) > HTTP_DEADLINE

    def test_nothing_starts_before_the_tables_are_there(self) -> None:
        services = compose()["services"]
        assert services["release"]["command"] == procfile()["release"]
        assert services["release"]["restart"] == "no"
        for name in ("worker", "beat", "flower"):
            assert services[name]["depends_on"]["release"]["condition"] == "service_completed_successfully"

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
        assert len(set(before.values())) == len(before) == 5


class TestKubernetes:
    def test_a_worker_may_finish_its_calls(self) -> None:
        assert pod(manifests("Deployment")["dialstock-worker"])["terminationGracePeriodSeconds"] > HTTP_DEADLINE

    def test_one_beat_is_enough(self) -> None:
        assert manifests("Deployment")["dialstock-beat"]["spec"]["replicas"] == 1

    def test_the_processes_are_those_of_the_procfile(self) -> None:
        pods = [pod(each) for each in (*manifests("Deployment").values(), *manifests("Job").values())]
        commands = {tuple(container["command"][:2]) for each in pods for container in each["containers"]}
        assert commands == {tuple(command) for command in procfile().values()}

    def test_every_container_is_locked_down(self) -> None:
        for manifest in (*manifests("Deployment").values(), *manifests("Job").values()):
            spec = pod(manifest)
            assert spec["securityContext"]["runAsNonRoot"]
            assert spec["automountServiceAccountToken"] is False
            for container in spec["containers"]:
                assert container["securityContext"]["readOnlyRootFilesystem"]
                assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}

    def test_flower_cannot_start_without_its_password(self) -> None:
        [container] = pod(manifests("Deployment")["dialstock-flower"])["containers"]
        [password] = [each for each in container["env"] if each["name"] == "FLOWER_BASIC_AUTH"]
        assert "optional" not in password["valueFrom"]["secretKeyRef"]

    def test_no_secret_stands_in_a_manifest(self) -> None:
        assert manifests("Secret") == {}

    def test_every_resource_file_is_listed(self) -> None:
        for folder in (DEPLOY / "kubernetes", DEPLOY / "kubernetes" / "migrate"):
            [kustomization] = load_all(folder / "kustomization.yaml")
            present = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
            assert set(kustomization["resources"]) == present

    def test_the_example_configuration_is_valid(self) -> None:
        text = manifests("ConfigMap")["dialstock"]["data"]["providers.toml"]
        assert list(parse_config(text, "providers.toml").providers) == ["signalwire"]


def test_the_example_configuration_shows_every_kind() -> None:
    config = load_config(ROOT / "providers.example.toml")
    assert {provider.kind for provider in config.providers.values()} == set(kinds())
