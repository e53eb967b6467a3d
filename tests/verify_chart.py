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
SPLIT: dict[str, dict[str, Any]] = {
    "split": {
        "enabled": True, "gatewayKey": {"name": "gateways"}, "workerKey": {"name": "workers"},
        "workersPublic": "workers-public", "gatewaysPublic": "gateways-public",
    }
}  # fmt: skip


def split_with(**workers: Any) -> dict[str, Any]:
    return {"split": SPLIT["split"] | {"workers": workers}}


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
    "gateways and workers apart": SHARED | SPLIT | {"trustedProxies": "10.0.0.0/8"},
    "gateways, and workers with slices of cards, scaled, watched": SHARED
    | MIG
    | SCALED
    | WATCHED
    | MODEL
    | split_with(
        perPod=1,
        replicas=4,
        nodeSelector={"a": "b"},
        tolerations=[{"operator": "Exists"}],
        autoscaling={"enabled": True},
    ),
    "one gateway, one pod of workers": {"replicas": 1} | split_with(replicas=1, perPod=8),
    "nothing that need not be": SHARED | {"networkPolicy": {"enabled": False}, "spreadOver": []},
}
#: What each half lacks is told by its own words.
KEYS_LACK: dict[str, dict[str, Any]] = {
    "split.gatewayKey.name: name the Secret": {"gatewayKey": {"name": ""}},
    "split.workerKey.name: name the Secret": {"workerKey": {"name": ""}},
    "split.workersPublic: name the ConfigMap": {"workersPublic": ""},
    "split.gatewaysPublic: name the ConfigMap": {"gatewaysPublic": ""},
    "gatewayKey and workerKey are one": {"workerKey": {"name": "gateways", "key": "gateways.key"}},
    "gatewaysPublic and workersPublic are one": {"gatewaysPublic": "workers-public"},
    "/split/bind": {"bind": "pods.example"},
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
    "keys are named and split.enabled is false": SHARED | {"split": {"workersPublic": "workers-public"}},
    "split.workers.perPod is more than gpu.count": SHARED | MIG | split_with(perPod=2),
    "a pod with a card waits for a free card": SHARED | MIG | split_with(rollingUpdate={"maxSurge": 1}),
    "split.workers.rollingUpdate: with neither": SHARED | split_with(rollingUpdate={"maxSurge": 0, "maxUnavailable": 0}),
    "nobody answers meanwhile": SHARED | MIG | split_with(replicas=1),
    "split.workers.autoscaling.maxReplicas": SHARED | split_with(autoscaling={"enabled": True, "maxReplicas": 1}),
    "in split mode it is split.workers.perPod": SHARED | SPLIT | {"settings": {"workers": 4}},
    "the halves speak tcp": SHARED | SPLIT | {"settings": {"transport": "ipc"}},
    "settings.wire_hosts is the chart's own": SHARED | SPLIT | {"settings": {"wire_hosts": "a:7400"}},
    **{words: SHARED | {"split": SPLIT["split"] | changed} for words, changed in KEYS_LACK.items()},
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


def test_halves_have_their_own_keys_find_each_other_by_name_and_let_nobody_else_in(tmp_path: Path) -> None:
    made = documents(SHARED | MIG | split_with(replicas=2), tmp_path)
    named = {(one["kind"], one["metadata"]["name"]): one["spec"] for one in made}
    front, behind = named["Deployment", "trial-face-api"], named["Deployment", "trial-face-api-workers"]
    gateway, workers = environment(front), environment(behind)
    service = named["Service", "trial-face-api-workers"]
    assert gateway["FACE_API_WIRE_HOSTS"] == "trial-face-api-workers.default.svc:7400"
    assert service["clusterIP"] == "None"
    assert workers["FACE_API_WIRE_BIND"] == "tcp://0.0.0.0:7400"
    assert (gateway["FACE_API_ROLE"], workers["FACE_API_ROLE"]) == ("gateway", "workers")
    assert mounted(front) == {
        "key": "gateways",
        "peers": "workers-public",
        "database-url": "store",
        "key-pepper": "pepper",
    }
    assert mounted(behind) == {"key": "workers", "peers": "gateways-public"}
    assert "FACE_API_ACCELERATOR" not in gateway
    assert front["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert behind["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    for selected, pods in (
        (service["selector"], behind), (named["Service", "trial-face-api"]["selector"], front),
        (named["PodDisruptionBudget", "trial-face-api-workers"]["selector"]["matchLabels"], behind),
    ):  # fmt: skip
        assert selected.items() <= pods["template"]["metadata"]["labels"].items()
        assert selected == pods["selector"]["matchLabels"]
    wire = named["NetworkPolicy", "trial-face-api-workers"]["ingress"][0]
    assert wire["ports"] == [{"port": 7400, "endPort": 7401}]
    assert wire["from"] == [{"podSelector": {"matchLabels": front["selector"]["matchLabels"]}}]


def environment(pods: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in pods["template"]["spec"]["containers"][0]["env"]}


def mounted(pods: dict[str, Any]) -> dict[str, str]:
    """Names of Secrets and ConfigMaps by volume."""
    volumes = pods["template"]["spec"]["volumes"]
    found = {
        one["name"]: one.get("secret", {}).get("secretName") or one.get("configMap", {}).get("name") for one in volumes
    }
    return {volume: name for volume, name in found.items() if name}


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
