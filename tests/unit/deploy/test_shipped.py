"""What is shipped for clusters agrees with the service: its metrics, its settings, its times, one image in two recipes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.balancing import COMPOSE_HOSTS, configuration
from deploy.timings import TimeTable, of_hosts
from gateway.reporting.metrics import Metrics
from shared.settings import Settings
from tests.service import ROOT

DEPLOY = ROOT / "deploy"
FILES = DEPLOY / "helm" / "face-api" / "files"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
VALUES: dict[str, Any] = yaml.safe_load((DEPLOY / "helm" / "face-api" / "values.yaml").read_text())
SETTINGS = {f"FACE_API_{name.upper()}" for name in Settings.__struct_fields__}


def metric_names() -> set[str]:
    """Every series that a gateway process can tell of."""
    ends = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
    return {family.name + end for family in Metrics().registry.collect() for end in ends[family.type]}


def expressions() -> dict[str, str]:
    rules = yaml.safe_load((FILES / "alerts.yml").read_text())["groups"][0]["rules"]
    panels = json.loads((FILES / "dashboard.json").read_text())["panels"]
    scaling = (DEPLOY / "helm" / "face-api" / "templates" / "autoscaling.yaml").read_text()
    return (
        {rule["alert"]: rule["expr"] for rule in rules}
        | {panel["title"]: " ".join(target["expr"] for target in panel["targets"]) for panel in panels}
        | {"scaling": scaling}
    )


@pytest.mark.parametrize("asked", expressions())
def test_alerts_dashboard_and_scaling_ask_only_for_metrics_that_exist(asked: str) -> None:
    named = set(re.findall(r"face_api_\w+", expressions()[asked]))
    assert named
    assert named - metric_names() == set()


@pytest.mark.parametrize("host", ["host1", "host2"])
def test_hosts_of_the_compose_file_have_known_settings_and_the_tables_times(host: str) -> None:
    service = COMPOSE["services"][host]
    named = {name.removesuffix("_FILE") for name in service["environment"]}
    assert named <= SETTINGS
    assert service["env_file"] == "../hosts.env"
    assert service["stop_grace_period"] == f"{TimeTable().grace:g}s"
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]


def test_every_file_and_secret_that_the_compose_file_mounts_is_there_or_told() -> None:
    mounts = [mount for service in COMPOSE["services"].values() for mount in service.get("volumes", [])]
    files = [mount.split(":")[0] for mount in mounts if mount.startswith(".")]
    assert [file for file in files if not (DEPLOY / "compose" / file).is_file()] == []
    targets = yaml.safe_load((DEPLOY / "compose" / "prometheus.yml").read_text())["scrape_configs"][0]["static_configs"]
    port = COMPOSE["services"]["host1"]["environment"]["FACE_API_METRICS_PORT"]
    assert targets == [{"targets": [f"host1:{port}", f"host2:{port}"]}]
    head = (DEPLOY / "compose" / "compose.yaml").read_text().split("name:")[0]
    assert all(name in head for name in COMPOSE["secrets"])


def test_the_compose_files_balancer_is_made_for_its_hosts() -> None:
    """`python -m deploy.balancing --write` renews it."""
    assert (DEPLOY / "compose" / "envoy.yaml").read_text() == configuration("envoy", COMPOSE_HOSTS)


def test_the_charts_times_are_the_tables() -> None:
    names = {"request": "request", "keepAlive": "keep_alive", "drainDelay": "drain_delay", "stopGrace": "stop_grace"}
    table = TimeTable()
    assert {name: VALUES["times"][name] for name in names} == {name: getattr(table, own) for name, own in names.items()}
    assert VALUES["times"]["grace"] == table.grace
    assert VALUES["times"]["settle"] == table.until_found
    text = (DEPLOY / "helm" / "face-api" / "templates" / "deployment.yaml").read_text()
    assert set(of_hosts(table)) <= set(re.findall(r"FACE_API_\w+", text))


def test_every_setting_that_the_chart_names_exists() -> None:
    folder = DEPLOY / "helm" / "face-api" / "templates"
    text, parts = (folder / "deployment.yaml").read_text(), (folder / "_names.tpl").read_text()
    named = {name.removesuffix("_FILE") for name in re.findall(r"name: (FACE_API_[A-Z_]+)[,\s]", text)}
    assert named <= SETTINGS
    assert set(re.findall(r"([A-Z_]+): .*\$v\.secrets", parts)) == {"DATABASE_URL", "KEY_PEPPER", "REDIS_URL"}


def test_both_recipes_make_one_image() -> None:
    def last_words(file: str) -> list[str]:
        text = (DEPLOY / "image" / file).read_text().replace("\\\n", " ")
        lines = [re.sub(r"\s+", " ", line) for line in text.rpartition("\nFROM ")[2].splitlines()]
        return [line for line in lines[1:] if line.partition(" ")[0] not in ("ADD", "COPY")]

    assert last_words("Dockerfile") == last_words("Containerfile")
    assert "USER 65532:65532" in last_words("Dockerfile")


def test_the_image_gets_every_package_that_serves(tmp_path: Path) -> None:
    kept = (DEPLOY / "image" / "Dockerfile.dockerignore").read_text()
    assert {"deploy", "gateway", "models", "shared", "worker"} <= set(re.findall(r"^!([\w.]+)$", kept, re.MULTILINE))
