"""docker-compose.yml as it is written: its schema, and what every service is kept from."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.composed import composition

ROOT = Path(__file__).parents[2]
SUPPLY = ROOT / ".venv" / "supply" / "bin"
SERVICES: dict[str, dict[str, Any]] = composition()["services"]
each_service = pytest.mark.parametrize("name", SERVICES)
GATEWAYS = ("gateway-1", "gateway-2", "gateway-3")
PROFILES = {
    "one": {"prepare", "store", "gateway", "prometheus", "grafana"},
    "three": {"prepare", "store", *GATEWAYS, "balancer", "postgres", "prometheus", "grafana"},
}  # fmt: skip


@pytest.mark.server
def test_it_is_what_the_compose_specification_says() -> None:
    words = ["--builtin-schema", "vendor.compose-spec", ROOT / "docker-compose.yml"]
    done = subprocess.run([SUPPLY / "check-jsonschema", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_two_profiles_and_nothing_outside_of_them() -> None:
    found = {profile: {name for name, one in SERVICES.items() if profile in one["profiles"]} for profile in PROFILES}
    assert found == PROFILES


@each_service
def test_each_service_can_do_no_more_than_it_must(name: str) -> None:
    one = SERVICES[name]
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one.get("cap_add", []) == (["CHOWN", "DAC_OVERRIDE", "FOWNER"] if name == "prepare" else [])
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert one["mem_limit"]
    assert one["pids_limit"]
    assert "privileged" not in one
    assert one.get("user", "").partition(":")[0] != "0" or name == "prepare"
    assert name == "prepare" or "user" in one or one["image"].startswith("nqgate:")  # whose image names its own


@each_service
def test_each_image_has_a_version(name: str) -> None:
    assert not SERVICES[name]["image"].endswith((":latest", ":main"))
    assert ":" in SERVICES[name]["image"]


@each_service
def test_what_is_published_is_published_to_this_machine(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@each_service
def test_no_secret_stands_in_an_environment(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if any(word in variable for word in ("PASSWORD", "SECRET", "TOKEN", "KEK", "KEY")):
            assert variable.endswith("FILE"), variable
            assert value.startswith("/run/")


def mounting(volume: str) -> set[str]:
    return {name for name, one in SERVICES.items() if any(word.startswith(f"{volume}:") for word in one["volumes"])}


def test_nobody_reaches_the_store_but_over_its_socket() -> None:
    assert SERVICES["store"]["network_mode"] == "none"
    assert "ports" not in SERVICES["store"]
    assert "-ip.bind=127.0.0.1" in SERVICES["store"]["command"]
    assert mounting("store-socket") == {"prepare", "store", "gateway", *GATEWAYS}


def test_a_secret_is_mounted_by_its_reader_only() -> None:
    assert mounting("gateway-secrets") == {"prepare", "gateway", *GATEWAYS}
    for reader in ("store", "postgres", "grafana"):
        assert mounting(f"{reader}-secrets") == {"prepare", reader}


def test_only_the_balancer_and_gateways_are_where_x_forwarded_for_is_believed() -> None:
    there = {name for name, one in SERVICES.items() if "balanced" in one.get("networks", [])}
    assert there == {"balancer", *GATEWAYS}
    [network] = composition()["networks"]["balanced"]["ipam"]["config"]
    assert SERVICES["gateway-1"]["environment"]["NQGATE_S3__TRUSTED_PROXIES"] == f'["{network["subnet"]}"]'


def test_only_prometheus_and_grafana_are_where_metrics_are_read_without_a_token() -> None:
    there = {name for name, one in SERVICES.items() if "watched" in one.get("networks", [])}
    assert there == {"prometheus", "grafana", "gateway", *GATEWAYS}
    [network] = composition()["networks"]["watched"]["ipam"]["config"]
    for name in ("gateway", *GATEWAYS):
        allowed = SERVICES[name]["environment"]["NQGATE_CONSOLE__METRICS_NETWORKS"]
        assert allowed == f'["127.0.0.0/8", "{network["subnet"]}"]'


def test_every_file_that_is_mounted_exists() -> None:
    named = {word.partition(":")[0] for one in SERVICES.values() for word in one["volumes"] if word.startswith("./")}
    assert [name for name in named if not (ROOT / name).exists()] == []
    rules = yaml.safe_load((ROOT / "config/compose/prometheus.yml").read_text())["rule_files"]
    assert [name for name in rules if not list((ROOT / "config/prometheus").glob(name.rpartition("/")[2]))] == []
    volumes = {word.partition(":")[0] for one in SERVICES.values() for word in one["volumes"]} - named
    assert volumes == set(composition()["volumes"])


def test_a_stop_waits_longer_than_the_gateway_drains() -> None:
    assert SERVICES["gateway"]["stop_grace_period"] == "45s"  # limits.drain_timeout is 30
