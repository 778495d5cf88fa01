"""What a second run, a change, a drift, and a mistake do."""

from __future__ import annotations

import json
import subprocess

from .copy import ROOT, Copy, docker_names, edited, itqan, outputs, poll, pulumi
from .faults import kill, start_up

SITE = ROOT / "files/nginx/site.conf.j2"


def state(stack: str) -> str:
    """The stack's whole state, secrets encrypted, as the engine keeps it."""
    return pulumi("stack", "export", "--stack", stack).stdout


def resources(stack: str) -> dict[str, str]:
    """Time of each resource's last change, by URN; the stack's look at itself is read anew each time."""
    found = json.loads(state(stack))["deployment"]["resources"]
    return {r["urn"]: r.get("modified", "") for r in found if r["type"] != "pulumi:pulumi:StackReference"}


def test_a_second_up_changes_nothing(copy: Copy) -> None:
    before = resources(copy.stack)
    started = copy.bash("systemctl show -p ActiveEnterTimestamp nginx php8.4-fpm supervisor redis-server")
    itqan("up", "--stack", copy.stack)
    after = resources(copy.stack)
    assert after == before
    assert (
        copy.bash("systemctl show -p ActiveEnterTimestamp nginx php8.4-fpm supervisor redis-server")
        == started
    )


def test_preview_of_a_clean_copy_shows_nothing(copy: Copy) -> None:
    assert itqan("preview", "--stack", copy.stack).returncode == 0


def test_plain_pulumi_does_the_same_work(copy: Copy) -> None:
    result = pulumi("preview", "--stack", copy.stack, "--expect-no-changes")
    assert "units in" in result.stdout and "none not as expected" in result.stdout


def test_one_changed_line_is_a_line_diff_and_touches_one_unit(copy: Copy) -> None:
    before = resources(copy.stack)
    with edited(SITE, "charset utf-8;", "charset utf-8;\n    keepalive_timeout 42s;"):
        shown = itqan("preview", "--diff", "--stack", copy.stack, check=False)
        assert shown.returncode == 2
        assert any(
            line.strip().startswith("+") and "keepalive_timeout 42s;" in line
            for line in shown.stdout.splitlines()
        )
        itqan("up", "--stack", copy.stack)
        assert "keepalive_timeout 42s" in copy.bash("nginx -T 2>/dev/null")
        after = resources(copy.stack)
        changed = [urn for urn in after if after[urn] != before.get(urn)]
        assert [urn.rpartition("::")[2] for urn in changed] == ["nginx-site"]
    itqan("up", "--stack", copy.stack)
    assert "keepalive_timeout 42s" not in copy.bash("nginx -T 2>/dev/null")


def test_a_broken_template_fails_with_the_reason_and_the_old_site_answers(copy: Copy) -> None:
    with edited(SITE, "charset utf-8;", "charset utf-8;\n    no_such_directive on;"):
        result = itqan("up", "--stack", copy.stack, check=False)
    assert result.returncode == 1
    said = result.stdout + result.stderr
    assert 'unknown directive "no_such_directive"' in said
    assert "Traceback" not in said
    copy.require_page()
    assert "no_such_directive" not in copy.bash("cat /etc/nginx/sites-available/itqan-platform")
    copy.bash("nginx -t -q")
    itqan("up", "--stack", copy.stack)


def test_drift_is_previewed_with_what_was_found_and_healed_once(copy: Copy) -> None:
    copy.bash("chmod 600 /etc/nginx/sites-available/itqan-platform && systemctl disable -q --now cron")
    shown = itqan("preview", "--diff", "--stack", copy.stack, check=False)
    assert shown.returncode == 2
    assert (
        "# healed once; expected file /etc/nginx/sites-available/itqan-platform 644, found 600"
        in shown.stdout
    )
    assert "# healed once; expected service cron enabled active, found disabled inactive" in shown.stdout
    itqan("up", "--stack", copy.stack)
    assert (
        copy.bash("stat -c %a /etc/nginx/sites-available/itqan-platform; systemctl is-active cron")
        == "644\nactive"
    )
    before = resources(copy.stack)
    itqan("up", "--stack", copy.stack)
    assert resources(copy.stack) == before


def test_a_restart_of_the_container_brings_everything_back(copy: Copy) -> None:
    command = ["docker", "restart", "-t", "5", copy.outputs["container"]]
    subprocess.run(command, check=True, capture_output=True)
    poll(lambda: copy.get("/up").status == 200, 60, "the application after a restart of the container")
    before = resources(copy.stack)
    itqan("up", "--stack", copy.stack)
    assert resources(copy.stack) == before


def test_no_secret_stands_in_the_state(copy: Copy) -> None:
    names = "^(APP_KEY|DB_PASSWORD|REVERB_APP_SECRET)="
    secrets = copy.bash(
        f"grep -E '{names}' /var/www/itqan-platform/.env | cut -d= -f2- | tr -d '\"'; "
        "sed -n 's/^dns_rfc2136_secret = //p' /etc/letsencrypt/rfc2136.ini"
    ).split()
    assert len(secrets) == 4
    text = state(copy.stack) + "".join(
        p.read_text(errors="replace") for p in (ROOT / ".itqan/logs").glob("*") if p.is_file()
    )
    assert not [secret for secret in secrets if secret in text]


def test_outputs(copy: Copy) -> None:
    found = outputs(copy.stack)
    assert found["url"] == f"https://{found['domain']}"
    assert found["ssh"]["user"] == "root" and found["ssh"]["hostKey"].startswith("ssh-ed25519 ")
    assert found["release"] == copy.bash(
        "git -c safe.directory='*' -C /var/www/itqan-platform rev-parse HEAD"
    )
    assert found["rootCertificate"].startswith("-----BEGIN CERTIFICATE-----")
    assert found["units"] >= 35


def test_a_killed_run_is_continued_by_the_next(copy: Copy) -> None:
    """kill -9 of a run that makes the server anew: its lock and what it half made are cleared up."""
    subprocess.run(["docker", "rm", "-f", copy.outputs["container"]], check=True, capture_output=True)
    pulumi("refresh", "--yes", "--skip-preview", "--stack", copy.stack)
    run = start_up(copy.stack)
    poll(lambda: copy.outputs["container"] in docker_names(copy.stack, "containers"), 60, "the new container")
    kill(run)
    said = itqan("up", "--stack", copy.stack)
    assert "was killed: clearing up" in said.stdout + said.stderr
    assert copy.get("/up").status == 200
    before = resources(copy.stack)
    itqan("up", "--stack", copy.stack)
    assert resources(copy.stack) == before
