"""What the application of a copy sends out is caught; what a release or a person fetches is not."""

from __future__ import annotations

import json

from .copy import Copy, itqan

# RFC 5737: nobody has it.
NOWHERE = "203.0.113.5"
SUBJECT = "مرحبا بك في المنصة"
MAIL = f"""
require "vendor/autoload.php";
$app = require "bootstrap/app.php";
$app->make(Illuminate\\Contracts\\Console\\Kernel::class)->bootstrap();
$address = fn ($mail) => $mail->to("amina@example.org")->subject("{SUBJECT}");
Illuminate\\Support\\Facades\\Mail::raw("..\\nThe body", $address);
"""


def as_web_user(copy: Copy, script: str, check: bool = True) -> str:
    """Standard output of bash as the user that runs the application."""
    quoted = script.replace("'", "'\\''")
    return copy.bash(f"cd /var/www/itqan-platform && runuser -u www-data -- bash -c '{quoted}'", check)


def caught(copy: Copy) -> list[dict[str, str]]:
    """What `./itqan caught` lists."""
    found: list[dict[str, str]] = json.loads(itqan("caught", copy.stack, "--json").stdout)["caught"]
    return found


def test_mail_of_the_application_is_caught(copy: Copy) -> None:
    as_web_user(copy, f"cat >/tmp/mail.php <<'END'\n<?php {MAIL}\nEND\nphp /tmp/mail.php")
    [mail] = [entry for entry in caught(copy) if entry["what"] == SUBJECT]
    assert (mail["kind"], mail["to"]) == ("mail", "amina@example.org")
    whole = itqan("caught", copy.stack, str(mail["number"])).stdout
    assert "The body" in whole
    assert "From: " in whole
    assert SUBJECT in itqan("caught", copy.stack).stdout


def test_mail_to_another_server_is_caught_too(copy: Copy) -> None:
    said = as_web_user(
        copy, f"exec 3<>/dev/tcp/{NOWHERE}/587; head -n 1 <&3; printf 'QUIT\\r\\n' >&3; tail -n 1 <&3"
    )
    assert said.splitlines()[0].strip() == "220 catcher of this copy"


def test_webhooks_are_caught_and_answered(copy: Copy) -> None:
    for scheme in ("http", "https"):
        address = f"{scheme}://hooks.example.org/{scheme}?a=b"
        resolve = f"--resolve hooks.example.org:80:{NOWHERE} --resolve hooks.example.org:443:{NOWHERE}"
        assert json.loads(as_web_user(copy, f"curl -sS -m 20 {resolve} -d hello '{address}'")) == {
            "caught": True
        }
        [entry] = [one for one in caught(copy) if one["what"] == f"POST /{scheme}?a=b"]
        assert entry["to"] == f"{scheme}://hooks.example.org"
        assert itqan("caught", copy.stack, str(entry["number"])).stdout.endswith("hello\n")


def test_nothing_else_gets_out(copy: Copy) -> None:
    assert as_web_user(copy, f"exec 3<>/dev/tcp/{NOWHERE}/6379; printf 'PING\\n' >&3; cat <&3") == ""
    assert any(one["to"] == f"{NOWHERE} port 6379" for one in caught(copy))
    assert as_web_user(copy, f"echo x >/dev/udp/{NOWHERE}/514 && echo sent || true", check=False) == ""


def test_others_go_out_as_ever(copy: Copy) -> None:
    fetched = copy.bash(f"runuser -u deploy -- curl -s -m 2 http://{NOWHERE}/by-deploy || true")
    assert "caught" not in fetched
    assert not [one for one in caught(copy) if "by-deploy" in one["what"]]


def test_a_number_that_was_not_caught_is_one_line(copy: Copy) -> None:
    result = itqan("caught", copy.stack, "999999", check=False)
    assert (result.returncode, result.stderr) == (
        1,
        f"itqan: {copy.stack}: nothing of number 999999 was caught\n",
    )
