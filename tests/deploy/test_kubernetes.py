"""What the manifests promise, as far as it can be checked without a cluster."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tasks.providers.configured import load_config
from tests.deploy.documents import DEPLOY, compose, load_all, manifests, pod
from tests.deploy.image import CACHE
from tests.deploy.test_deploy import HTTP_DEADLINE, MIGRATE
from tests.servers import unavailable
from tests.waiting import PATIENCE

MANIFESTS = DEPLOY / "kubernetes"
ALIVE = {"command": ["dialstock", "doctor", "--alive"]}
VERSION = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text())["project"]["version"]


def pods() -> dict[str, dict[str, Any]]:
    return {name: pod(each) for name, each in {**manifests("Deployment"), **manifests("Job")}.items()}


def container(name: str) -> dict[str, Any]:
    [found] = pods()[f"dialstock-{name}"]["containers"]
    return dict(found)


def kustomization(folder: Path) -> dict[str, Any]:
    return dict(load_all(folder / "kustomization.yaml")[0])


def test_a_worker_may_finish_its_calls() -> None:
    assert pods()["dialstock-worker"]["terminationGracePeriodSeconds"] > HTTP_DEADLINE


def test_one_beat_is_enough() -> None:
    assert manifests("Deployment")["dialstock-beat"]["spec"]["replicas"] == 1


def test_the_processes_are_those_of_the_image() -> None:
    commands = {name.removeprefix("dialstock-"): each["containers"][0]["command"] for name, each in pods().items()}
    assert {name: command[1] for name, command in commands.items()} == {name: name for name in commands}
    assert set(commands) == {"worker", "beat", "flower", "migrate"}
    assert commands["migrate"][:3] == MIGRATE


@pytest.mark.parametrize("name", ["worker", "beat", "flower", "migrate"])
def test_every_pod_is_locked_down(name: str) -> None:
    spec = pods()[f"dialstock-{name}"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    folders = [volume["emptyDir"] for volume in spec["volumes"] if "emptyDir" in volume]
    assert folders
    assert all("sizeLimit" in folder for folder in folders)


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_a_process_that_hangs_is_started_again_and_one_that_waits_for_a_server_is_not(name: str) -> None:
    probes = container(name)
    assert probes["livenessProbe"]["exec"] == probes["startupProbe"]["exec"] == ALIVE
    start = probes["startupProbe"]
    assert start["failureThreshold"] * start["periodSeconds"] >= 300


def test_flower_is_asked_for_a_page_that_needs_no_password() -> None:
    probes = container("flower")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert probes[probe]["httpGet"] == {"path": "/healthcheck", "port": "http"}


def test_nodes_are_emptied_one_worker_at_a_time_and_workers_are_spread() -> None:
    labels = manifests("Deployment")["dialstock-worker"]["spec"]["template"]["metadata"]["labels"]
    budget = manifests("PodDisruptionBudget")["dialstock-worker"]["spec"]
    assert budget == {"maxUnavailable": 1, "selector": {"matchLabels": labels}}
    spread = pods()["dialstock-worker"]["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    assert all(each["labelSelector"] == {"matchLabels": labels} for each in spread)


def test_every_pod_is_under_the_network_policy_and_nobody_is_let_in() -> None:
    policy = manifests("NetworkPolicy")["dialstock"]["spec"]
    wanted = policy["podSelector"]["matchLabels"].items()
    for each in (*manifests("Deployment").values(), *manifests("Job").values()):
        assert wanted <= each["spec"]["template"]["metadata"]["labels"].items()
    assert (policy["policyTypes"], policy["ingress"]) == (["Ingress", "Egress"], [])
    ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert ports == {5432, 6379, 443, 53}


def test_flower_cannot_start_without_its_password() -> None:
    [password] = [each for each in container("flower")["env"] if each["name"] == "FLOWER_BASIC_AUTH"]
    assert "optional" not in password["valueFrom"]["secretKeyRef"]


def test_no_secret_stands_in_a_manifest() -> None:
    assert manifests("Secret") == {}


def test_every_resource_file_is_listed() -> None:
    for folder in (MANIFESTS, MANIFESTS / "migrate"):
        present = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert set(kustomization(folder)["resources"]) == present


def test_each_release_has_a_job_of_its_own_and_all_name_one_image() -> None:
    """A Job that ran cannot be changed: a second release that applied one of the same name was refused."""
    folders = [kustomization(folder) for folder in (MANIFESTS, MANIFESTS / "migrate")]
    assert folders[0]["images"] == folders[1]["images"]
    assert folders[1]["images"][0]["newTag"] == VERSION
    assert folders[1]["nameSuffix"] == f"-{VERSION.replace('.', '-')}"


def test_a_changed_configuration_is_a_config_map_of_another_name() -> None:
    [generated] = kustomization(MANIFESTS)["configMapGenerator"]
    assert (generated["name"], generated["files"]) == ("dialstock", ["providers.toml"])
    assert "disableNameSuffixHash" not in generated["options"]
    for name in ("worker", "beat", "flower"):
        [mount] = [each for each in container(name)["volumeMounts"] if each["name"] == "config"]
        assert "subPath" not in mount
        assert {"name": "config", "configMap": {"name": generated["name"]}} in pods()[f"dialstock-{name}"]["volumes"]


def test_the_example_configuration_is_valid() -> None:
    config = load_config(MANIFESTS / "providers.toml")
    [mount] = [each for each in container("worker")["volumeMounts"] if each["name"] == "tokens"]
    assert str(config.providers["signalwire"].token_file).startswith(mount["mountPath"])


def test_what_is_waited_for_in_the_instructions_ends() -> None:
    text = (DEPLOY / "README.md").read_text()
    limits = [int(found) for found in re.findall(r"kubectl .*wait .*--timeout=([0-9]+)s", text)]
    assert len(limits) == len(re.findall(r"kubectl .*\bwait\b", text)) > 0
    assert min(limits) > manifests("Job")["dialstock-migrate"]["spec"]["activeDeadlineSeconds"]
    assert f"job/dialstock-migrate-{VERSION.replace('.', '-')}" in text


@pytest.fixture(scope="module")
def validator() -> Path:
    """A program in an environment of its own, which is kept: it brings the schemas of all versions of Kubernetes."""
    lock = DEPLOY.parent / "requirements-manifests.lock"
    place = CACHE / "manifests" / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    if not (place / "whole").exists():
        if os.environ.get("CI") != "true":
            pytest.skip(
                "kubernetes-validate is fetched (22 MB) by CI=true make test ARGS=tests/deploy/test_kubernetes.py"
            )
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        install = ["-m", "pip", "install", "--quiet", "--require-hashes", "-r", lock]
        done = subprocess.run([place / "bin" / "python", *install], capture_output=True, text=True, check=False)
        if done.returncode:
            unavailable("kubernetes-validate", f"pip could not install requirements-manifests.lock: {done.stderr}")
        (place / "whole").touch()
    return place / "bin" / "kubernetes-validate"


def test_every_manifest_fits_its_schema(validator: Path) -> None:
    files = [path for path in MANIFESTS.rglob("*.yaml") if path.name != "kustomization.yaml"]
    done = subprocess.run(
        [validator, "--strict", *files], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    documents = sum(len(load_all(path)) for path in files)
    assert said.count(" passed for resource ") == documents > len(files)


def test_the_compose_file_fits_its_schema() -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    if not program.exists():
        unavailable("check-jsonschema", "it is one of the development packages, see `make setup`")
    command = [program, "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout
    assert compose()["name"] == "dialstock"
