from pathlib import Path

from bench.nginx import SOCKET, Upstream, proxy_configuration, read_version, static_configuration
from bench.scenario import MIB, SCENARIOS

FOLDER = Path("/somewhere/up")


def test_the_yardstick_keeps_its_connections_to_the_upstream() -> None:
    text = proxy_configuration(FOLDER, "", 20001, 20002)
    assert "server 127.0.0.1:20002;" in text
    assert "proxy_pass http://store;" in text
    assert "proxy_http_version 1.1;" in text
    assert 'proxy_set_header Connection "";' in text


def test_uploads_are_neither_limited_nor_written_to_files_on_their_way() -> None:
    upstream, proxy = static_configuration(FOLDER, "", 1, Path("/files")), proxy_configuration(FOLDER, "", 1, 2)
    assert "client_max_body_size 0;" in upstream
    assert "client_max_body_size 0;" in proxy
    assert "proxy_request_buffering off;" in proxy
    assert "client_body_buffer_size" not in proxy
    assert f"client_body_buffer_size {max(scenario.size for scenario in SCENARIOS) // MIB + 1}m;" in upstream


def test_the_upstream_keeps_what_is_to_be_looked_at() -> None:
    text = static_configuration(FOLDER, "", 1, Path("/files"))
    assert "location /bench/kept/ {" in text
    assert f"client_body_temp_path {FOLDER}/kept;" in text


def test_the_yardstick_speaks_tls_only_where_it_is_given_a_certificate() -> None:
    plain, secure = (proxy_configuration(FOLDER, "", 1, 2, given) for given in (None, Path("/c.pem")))
    assert "ssl" not in plain
    assert "listen 127.0.0.1:1 ssl backlog" in secure
    assert "ssl_certificate /c.pem;" in secure
    assert "ssl_certificate_key /c.pem;" in secure


def test_the_upstream_lists_with_owners_where_they_are_asked_for() -> None:
    text = static_configuration(FOLDER, "", 1, Path("/files"))
    assert "location = /bench {" in text
    assert "default list.xml;" in text
    assert "~fetch-owner=true list-owners.xml;" in text


def test_both_have_one_worker_no_access_log_and_listen_on_loopback_only() -> None:
    for text in (
        static_configuration(FOLDER, "", 20001, Path("/files")),
        proxy_configuration(FOLDER, "", 20001, 20002),
    ):
        assert "worker_processes 1;" in text
        assert "access_log off;" in text
        addresses = [line.split()[1] for line in text.splitlines() if line.strip().startswith("listen ")]
        assert addresses in (["127.0.0.1:20001"], ["127.0.0.1:20001", f"unix:{FOLDER}/s3.sock"])
        assert text.count("{") == text.count("}")


def test_the_upstream_is_reached_by_its_port_or_its_socket() -> None:
    upstream = Upstream(20001, FOLDER / "kept", FOLDER / SOCKET)
    assert upstream.endpoint(here=False) == "http://127.0.0.1:20001"
    assert f"listen {upstream.endpoint(here=True)} " in static_configuration(FOLDER, "", 20001, Path("/files"))


def test_the_user_is_named_only_where_one_is_given() -> None:
    assert "user root root;" in static_configuration(FOLDER, "user root root;", 1, Path("/files"))
    assert "user" not in static_configuration(FOLDER, "", 1, Path("/files"))


def test_version_is_read_from_what_nginx_says() -> None:
    assert read_version("nginx version: nginx/1.22.1\n") == "nginx 1.22.1"
    assert read_version("nginx version: nginx/1.25.3 (Ubuntu)\n") == "nginx 1.25.3"
    assert read_version("") == "nginx"
