"""The site as a visitor and a test authority's client see it."""

from __future__ import annotations

import secrets

import pytest

from .copy import Copy, poll


def test_the_page_answers_over_https_verified_against_the_authority(copy: Copy) -> None:
    page = copy.get("/")
    assert page.status == 200
    assert "text/html" in page.headers["Content-Type"]
    assert "/build/assets/" in page.data.decode(), "the Vite build is not in the page"


def test_http_redirects_to_https(copy: Copy) -> None:
    answer = copy.get_plain("/x?y=1")
    assert answer.status == 301
    assert answer.headers["Location"] == f"https://{copy.outputs['domain']}/x?y=1"


def test_a_tenant_has_its_own_page(copy: Copy) -> None:
    answer = copy.get("/", host=f"noor.{copy.outputs['domain']}")
    assert answer.status == 200
    assert "noor" in answer.data.decode()
    assert "noor" not in copy.get("/").data.decode()


@pytest.mark.parametrize("path", ["/.env", "/.git/config", "/.git/HEAD"])
def test_hidden_files_are_denied(copy: Copy, path: str) -> None:
    assert copy.get(path).status == 403


def test_security_headers(copy: Copy) -> None:
    headers = copy.get("/").headers
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "X-Powered-By" not in headers


def test_built_assets_are_served_by_nginx_itself(copy: Copy) -> None:
    name = copy.bash("ls /var/www/itqan-platform/public/build/assets | grep '[.]js$' | head -n 1")
    answer = copy.get(f"/build/assets/{name}")
    assert answer.status == 200
    assert "max-age" in answer.headers["Cache-Control"]


def test_a_websocket_handshake_through_nginx(copy: Copy) -> None:
    key = copy.bash("sed -n 's/^REVERB_APP_KEY=//p' /var/www/itqan-platform/.env")
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    answer = copy.get(f"/app/{key}?protocol=7&client=test&version=1", headers=headers)
    assert answer.status == 101
    # the accept value for this key is the example of RFC 6455, section 1.3
    assert answer.headers["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_a_queued_job_is_done_by_a_worker(copy: Copy) -> None:
    token = secrets.token_hex(8)
    assert copy.request("POST", f"/api/visits/{token}").status == 202
    done = poll(lambda: copy.get(f"/api/visits/{token}").status == 200, 30, "the visit that the job records")
    assert done and copy.get(f"/api/visits/{token}").json()[0]["release"] == copy.outputs["release"]


def test_the_scheduler_runs_every_minute(copy: Copy) -> None:
    count = "mysql -N -e 'SELECT COUNT(*) FROM itqan_platform.heartbeats'"
    before = int(copy.bash(count))
    poll(lambda: int(copy.bash(count)) > before, 75, "a further row of the scheduled task")


def test_the_application_finds_itself_healthy(copy: Copy) -> None:
    answer = copy.get("/up")
    assert answer.status == 200, answer.data.decode()
    assert copy.outputs["release"] in answer.data.decode()


def test_the_log_is_one_that_every_php_process_can_write(copy: Copy) -> None:
    log = "/var/www/itqan-platform/storage/logs/laravel.log"
    users = copy.bash("ps -eo user=,args= | awk '/[p]hp artisan|[p]hp-fpm: pool/ {print $1}' | sort -u")
    assert users == "www-data"
    assert copy.bash(f"runuser -u www-data -- test -w {log} && echo writable") == "writable"
