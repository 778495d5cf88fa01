"""A comparison with every tone of state, and with values that want to be more than text."""

from __future__ import annotations

from operations.page import Note, Row

LONG = "0123456789abcdef" * 20
SCRIPT = "<script>window.ran = 1; document.title = 'ran'</script><img src=x onerror='window.ran = 1'>"

ROWS = [
    Row("host", "host/platform", "as expected", "good"),
    Row("host", "host/clock", "as expected", "good"),
    Row("nginx", "nginx/package", "as expected", "good"),
    Row("nginx", "nginx/service", "as expected", "good"),
    Row(
        "nginx",
        "nginx/site",
        "differs",
        "bad",
        (
            ("expected", "server_name platform.example.org;\nclient_max_body_size 100M;"),
            ("found", f"server_name platform.example.org;\nclient_max_body_size 1M;\n# {SCRIPT}"),
            ("why", "changed by hand: the file's time is later than the last run"),
        ),
    ),
    Row("php", "php/pool", "as expected", "good"),
    Row(
        "release",
        f"release/{LONG}",
        "differs",
        "bad",
        (("expected", LONG), ("found", f"/var/www/{LONG}/{LONG}"), ("why", LONG)),
    ),
    Row(
        "database",
        "database/server",
        "explained",
        "info",
        (
            ("expected", "MySQL 8.0.44"),
            ("found", "MariaDB 11.8"),
            ("why", "the platform debian-13 has no MySQL 8.0"),
        ),
    ),
    Row(
        "database", "database/charset", "unexplained", "warn", (("expected", "utf8mb4"), ("found", "latin1"))
    ),
    Row(
        "cron",
        "cron/\"quoted\" & 'single'",
        'no "quotes" & <b>tags</b>',
        "warn",
        (("expected", ""), ("found", "* * * * * root /usr/bin/true")),
    ),
]
NOTES = [
    (
        "Findings",
        [
            Note(
                "File Permissions",
                ".env has mode 644: every local user can read the application's secrets",
                "pulumi config set --stack prod itqan:hardening strict",
            ),
            Note(SCRIPT, f"a path {LONG}", f"pulumi config set --path 'itqan:{LONG}' {SCRIPT}"),
        ],
    ),
    ("Substitutions", [Note("nginx", "The document names 1.18.0, here 1.26: Debian 13 has no 1.18")]),
]
FACTS = [
    ("stack", "prod"),
    ("host", "deploy@203.0.113.7 port 22"),
    ("looked at", "24 November 2026, 18:40 UTC, in 0.41 s"),
    ("digest", LONG),
]
