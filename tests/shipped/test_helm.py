"""The chart: rendered by Helm's own library, held against Kubernetes' schemas, its promises looked for in it."""

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.composed import composition
from tests.support.gateway_process import COMMAND

ROOT = Path(__file__).parents[2]
CHART = ROOT / "config" / "helm" / "nqgate"
VALUES = {path.name.removesuffix("-values.yaml"): path for path in (CHART / "ci").glob("*-values.yaml")}
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("helm")]


def render(values: Path) -> subprocess.CompletedProcess[str]:
    words = [ROOT / ".venv/supply/bin/python", ROOT / "tests/support/chart.py", CHART, values]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def changed(folder: Path, **values: Any) -> subprocess.CompletedProcess[str]:
    """Rendered with the least, and `values` over it."""
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(VALUES["sidecar"].read_text()), **values}))
    return render(file)


class Rendered:
    def __init__(self, name: str) -> None:
        done = render(VALUES[name])
        assert done.returncode == 0, done.stderr
        self.objects: list[dict[str, Any]] = json.loads(done.stdout)

    def one(self, kind: str) -> dict[str, Any]:
        [found] = [one for one in self.objects if one["kind"] == kind]
        return found

    @property
    def pod(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.one("StatefulSet")["spec"]["template"]["spec"]
        return spec

    def container(self, name: str) -> dict[str, Any]:
        [found] = [one for one in self.pod["containers"] if one["name"] == name]
        return found

    @property
    def toml(self) -> str:
        return str(self.one("ConfigMap")["data"]["gateway.toml"])


@pytest.fixture(scope="module", params=sorted(VALUES))
def either(request: pytest.FixtureRequest) -> Rendered:
    return Rendered(request.param)


@pytest.fixture(scope="module")
def sidecar() -> Rendered:
    return Rendered("sidecar")


@pytest.fixture(scope="module")
def everything() -> Rendered:
    return Rendered("everything")


def test_each_container_can_do_no_more_than_it_must(either: Rendered) -> None:
    assert either.pod["automountServiceAccountToken"] is False
    assert either.pod["securityContext"]["runAsNonRoot"] is True
    assert either.pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for one in either.pod["containers"]:
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert one["resources"]["limits"]["memory"]


def test_no_port_of_the_store_is_named_and_no_service_leads_to_one(either: Rendered) -> None:
    assert "ports" not in either.container("store")
    targets = {
        port["targetPort"] for one in either.objects if one["kind"] == "Service" for port in one["spec"]["ports"]
    }
    assert targets <= {"s3", "console"}
    open_ports = {port["port"] for rule in either.one("NetworkPolicy")["spec"]["ingress"] for port in rule["ports"]}
    assert open_ports <= {9000, 9001}
    assert either.one("NetworkPolicy")["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_the_chart_makes_no_secret_and_holds_none(either: Rendered) -> None:
    assert "Secret" not in {one["kind"] for one in either.objects}
    assert "secret_access_key =" not in either.toml
    [secrets] = [one for one in either.pod["volumes"] if one["name"] == "secrets"]
    assert secrets["projected"]["defaultMode"] == 0o400


def test_a_gateway_takes_the_configuration(either: Rendered, tmp_path: Path) -> None:
    """But that its files are not here."""
    config = tmp_path / "gateway.toml"
    config.write_text(either.toml)
    environment = {"NQGATE_KEYSTORE__URL": "postgresql://u@127.0.0.1:1/d", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [COMMAND, "--config", config, "doctor", "--json"], env=environment, capture_output=True, text=True, check=False
    )
    assert json.loads(done.stdout)[0] == {"check": "configuration", "ok": True, "found": "it can be read", "do": ""}


def test_the_gateway_is_asked_for_both_healthz_and_readyz(sidecar: Rendered, everything: Rendered) -> None:
    inside = sidecar.container("gateway")
    assert inside["readinessProbe"]["exec"]["command"] == ["nqgate", "ready"]
    assert inside["livenessProbe"]["exec"]["command"] == ["nqgate", "ready", "--alive"]
    outside = everything.container("gateway")
    assert outside["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "console", "scheme": "HTTPS"}
    assert outside["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "console", "scheme": "HTTPS"}


def test_the_control_plane_stays_on_loopback_without_a_certificate(sidecar: Rendered, everything: Rendered) -> None:
    assert tomllib.loads(sidecar.toml)["console"]["listen"] == "127.0.0.1:9001"
    assert [one["metadata"]["name"] for one in sidecar.objects if one["kind"] == "Service"] == ["demo-nqgate"]
    assert tomllib.loads(everything.toml)["console"]["listen"] == "0.0.0.0:9001"
    published = {one["metadata"]["name"]: one["spec"]["type"] for one in everything.objects if one["kind"] == "Service"}
    assert published == {"demo-nqgate": "LoadBalancer", "demo-nqgate-console": "ClusterIP"}


def test_settings_reach_the_file(everything: Rendered) -> None:
    told = tomllib.loads(everything.toml)
    assert told["s3"]["domains"] == ["s3.example.com"]
    assert told["s3"]["tls_key"] == "/run/nqgate/s3.key"
    assert told["limits"]["connections"] == 5000
    assert "url" not in told["keystore"]
    assert everything.container("gateway")["image"].startswith("registry.example.com/nqgate@sha256:")


def test_metrics_are_scraped_over_tls_with_a_token(everything: Rendered) -> None:
    [endpoint] = everything.one("ServiceMonitor")["spec"]["endpoints"]
    assert (endpoint["scheme"], endpoint["path"]) == ("https", "/metrics")
    assert endpoint["authorization"]["credentials"] == {"name": "nqgate-metrics", "key": "token"}


def test_another_configuration_is_another_pod(sidecar: Rendered, tmp_path: Path) -> None:
    done = changed(tmp_path, settings={"limits": {"connections": 5}})
    [before, after] = [
        next(one for one in objects if one["kind"] == "StatefulSet")["spec"]["template"]["metadata"]["annotations"]
        for objects in (sidecar.objects, json.loads(done.stdout))
    ]
    assert before["checksum/configuration"] != after["checksum/configuration"]


def test_the_store_is_run_as_in_the_composition() -> None:
    """With the flags that close its side doors."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())["store"]
    composed = composition()["services"]["store"]
    assert values["image"] == composed["image"]
    assert {flag.replace("/etc/store/", "/etc/seaweedfs/") for flag in values["args"]} == set(composed["command"])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"secrets": {"kek": {"name": ""}, "upstream": {"name": "u"}}}, "/secrets/kek/name"),
        ({"secrets": {"kek": {"name": "k"}, "upstream": {"name": "u"}, "kekText": "nqgate-kek-1:…"}}, "kekText"),
        ({"upstream": {"accessKeyId": "a", "endpoint": "http://store.example.com"}}, "/upstream/endpoint"),
        ({"settings": {"upstream": {"secret_access_key": "x"}}}, "/settings"),
        ({"settings": {"keystore": {"url": "postgresql://u:p@h/d"}}}, "/settings"),
        ({"image": {"tag": "latest"}}, "/image/tag"),
        ({"replicas": 3}, "replicas"),
        ({"serviceMonitor": {"enabled": True, "token": {"name": "t"}}}, "secrets.consoleTls"),
    ],
)
def test_values_that_would_open_something_or_mean_nothing_are_refused(
    tmp_path: Path, wrong: dict[str, Any], said: str
) -> None:
    done = changed(tmp_path, **wrong)
    assert done.returncode == 1
    assert said in done.stderr
