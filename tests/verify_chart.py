"""The chart over many values: valid for the oldest and the newest Kubernetes it is for, and what would lose requests refused."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.programs import ENVIRONMENT, helm, program
from tests.service import ROOT

CHART = ROOT / "deploy" / "helm" / "face-api"
KUBERNETES = ("1.30", "1.37")
SHARED = {"secrets": {"databaseUrl": {"name": "store", "key": "url"}, "pepper": {"name": "pepper", "key": "it"}}}
SCALED = {"autoscaling": {"enabled": True, "minReplicas": 2, "maxReplicas": 40}}
WATCHED = {
    "monitoring": {"serviceMonitor": True, "rules": True, "dashboard": True, "labels": {"release": "prometheus"}}
}
MODEL = {"model": {"url": "https://models.example/a.onnx", "sha256": "0" * 64}}
MIG = {"gpu": {"enabled": True, "resource": "nvidia.com/mig-1g.10gb", "count": 1}}
VALUES: dict[str, dict[str, Any]] = {
    "one pod": {"replicas": 1},
    "one pod with a claim": {"replicas": 1, "data": {"existingClaim": "face-api"}},
    "two pods": SHARED,
    "cards": SHARED | {"gpu": {"enabled": True}, "nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}]},
    "slices of cards, scaled, watched": SHARED | MIG | SCALED | WATCHED,
    "a model of one's own": SHARED
    | MODEL
    | {"settings": {"mask_tiles": 4, "mask_thorough": True, "precision": "int8"}},
    "behind a balancer": SHARED
    | {
        "service": {"type": "LoadBalancer", "port": 443, "annotations": {"a": "b"}},
        "trustedProxies": "10.0.0.0/8",
        "networkPolicy": {"from": [{"podSelector": {}}], "metricsFrom": [{"namespaceSelector": {}}]},
        "imagePullSecrets": [{"name": "registry"}],
    },
    "nothing that need not be": SHARED | {"networkPolicy": {"enabled": False}, "spreadOver": []},
}
REFUSED: dict[str, dict[str, Any]] = {
    "`latest` is another image": {"image": {"tag": "latest"}},
    "waits for a free card": SHARED | {"gpu": {"enabled": True}, "rollingUpdate": {"maxSurge": 1}},
    "waits for a free card;": SHARED | {"gpu": {"enabled": True}, "rollingUpdate": {"maxSurge": "25%"}},
    "nothing can be updated": SHARED | {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}},
    "maxReplicas is less than minReplicas": SHARED | {"autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 2}},
    "several pods need one key store": {"secrets": {"pepper": {"name": "pepper", "key": "it"}}},
    "several pods need one pepper": {"secrets": {"databaseUrl": {"name": "store", "key": "url"}}},
    "one claim is for one pod": SHARED | {"data": {"existingClaim": "face-api"}},
    "times.grace must be": SHARED | {"times": {"grace": 49}},
    "times.stopGrace must be more": SHARED | {"times": {"request": 15}},
    "a quarter of max_queue": SHARED | {"autoscaling": {"enabled": True, "requestsInHouse": 65}},
    "url and sha256 belong together": SHARED | {"model": {"url": "https://models.example/a.onnx"}},
    "settings.drain_delay comes from times": SHARED | {"settings": {"drain_delay": 9}},
    "settings.database_url is the chart's own": SHARED | {"settings": {"database_url": "sqlite://"}},
    "replicas": {"replicas": 0},
    "nonsense": SHARED | {"nonsense": 1},
    "sha256": SHARED | {"model": {"url": "https://models.example/a.onnx", "sha256": "short"}},
}  # fmt: skip


def rendered(values: dict[str, Any], folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "values.yaml"
    file.write_text(json.dumps(values))
    return subprocess.run([helm(), "template", "trial", CHART, "-f", file], capture_output=True, text=True, check=False)


def documents(values: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    done = rendered(values, folder)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def is_kubernetes_own(document: dict[str, Any]) -> bool:
    group = document["apiVersion"].rpartition("/")[0]
    return "." not in group or group.endswith(".k8s.io")


def test_every_set_of_values_is_valid_for_the_oldest_and_the_newest_kubernetes(tmp_path: Path) -> None:
    files = []
    for number, values in enumerate(VALUES.values()):
        own = [one for one in documents(values, tmp_path) if is_kubernetes_own(one)]
        files.append(tmp_path / f"{number}.yaml")
        files[-1].write_text(yaml.safe_dump_all(own))
    validate = program("kubernetes-validate")
    assert validate, "`make verify` installs it into .venv-cluster"
    for version in KUBERNETES:
        done = subprocess.run(
            [validate, "-k", version, "--strict", *files], capture_output=True, text=True, check=False
        )  # fmt: skip
        said = [line for line in (done.stdout + done.stderr).splitlines() if "passed for resource" not in line]
        assert (done.returncode, said) == (0, []), said


def test_what_operators_are_asked_for_is_of_their_types_to_the_last_key(tmp_path: Path) -> None:
    theirs = [one for one in documents(SHARED | SCALED | WATCHED, tmp_path) if not is_kubernetes_own(one)]
    assert {one["kind"] for one in theirs} == {"ScaledObject", "ServiceMonitor", "PrometheusRule"}
    unknown = json.loads(json.dumps(theirs[0]))
    unknown["spec"]["nonsense"] = 1
    for given, wrong in ((theirs, 0), ([unknown], 1)):
        done = subprocess.run(
            [ENVIRONMENT / "bin" / "python", ROOT / "tests" / "cluster" / "operators.py"],
            input=json.dumps(given), capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert len(done.stdout.splitlines()) == wrong, done.stdout


@pytest.mark.parametrize("told", REFUSED)
def test_what_would_lose_requests_or_never_work_is_refused_with_words(told: str, tmp_path: Path) -> None:
    done = rendered(REFUSED[told], tmp_path)
    assert done.returncode != 0
    assert told in done.stderr, done.stderr


def test_a_pod_may_do_nothing_but_serve_and_is_updated_without_a_pod_less(tmp_path: Path) -> None:
    (pods,) = [one["spec"] for one in documents(SHARED | MODEL, tmp_path) if one["kind"] == "Deployment"]
    pod = pods["template"]["spec"]
    for container in (*pod["containers"], *pod["initContainers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod["automountServiceAccountToken"]
    assert pods["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    (cards,) = [one["spec"] for one in documents(SHARED | MIG, tmp_path) if one["kind"] == "Deployment"]
    assert cards["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert cards["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/mig-1g.10gb"] == 1


def test_alerts_come_when_they_should() -> None:
    promtool = program("promtool")
    if promtool is None:
        pytest.skip("promtool comes with Debian's prometheus")
    done = subprocess.run(
        [promtool, "test", "rules", ROOT / "deploy" / "helm" / "alerts_test.yml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", ["Dockerfile", "Containerfile"])
def test_the_recipes_of_the_image_are_clean(file: str) -> None:
    hadolint = program("hadolint")
    assert hadolint, "`make verify` installs it into .venv-cluster"
    done = subprocess.run(
        [hadolint, ROOT / "deploy" / "image" / file], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
