"""What is a secret on a host that already runs, and where its settings differ."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from operations.adopt import Adoption, Choice, Difference, Host, compare, found_secrets, sorted_secrets

CONFIG: dict[str, Any] = {
    "domain": "itqan.test",
    "database": {"host": "127.0.0.1", "port": 3306, "name": "itqan_platform", "user": "itqan"},
    "redis": {"host": "127.0.0.1", "port": 6379},
    "environment": {"LOG_LEVEL": "error", "CACHE_KEY_PREFIX": "itqan"},
    "release": {"ref": "main"},
}
SAME = {
    "APP_DOMAIN": "itqan.test",
    "APP_URL": "https://itqan.test",
    "REVERB_HOST": "itqan.test",
    "DB_HOST": "127.0.0.1",
    "DB_PORT": "3306",
    "DB_DATABASE": "itqan_platform",
    "DB_USERNAME": "itqan",
    "REDIS_HOST": "127.0.0.1",
    "REDIS_PORT": "6379",
    **CONFIG["environment"],
}


def host(variables: dict[str, str], **facts: str) -> Host:
    return Host("none", {**SAME, **variables}, {}, facts)


def test_secrets_have_the_settings_name_or_the_variables() -> None:
    variables = {
        "APP_KEY": "a",
        "DB_PASSWORD": "b",
        "MAIL_PASSWORD": "",
        "STRIPE_SECRET": "c",
        "BROKER_URL": "amqp://user:d@mq.test",
        "SUPPORT_PHONE": "1",
    }
    assert found_secrets(CONFIG, host(variables)) == {
        "appKey": "a",
        "databasePassword": "b",
        "STRIPE_SECRET": "c",
        "BROKER_URL": "amqp://user:d@mq.test",
    }


def test_a_redis_password_that_is_none_stays_a_plain_variable() -> None:
    none = host({"REDIS_PASSWORD": "null"})
    assert found_secrets(CONFIG, none) == {}
    assert compare(CONFIG, none) == [Difference(".env", "environment.REDIS_PASSWORD", "-", "null")]
    assert found_secrets(CONFIG, host({"REDIS_PASSWORD": "p"})) == {"redisPassword": "p"}


def test_a_token_in_the_origin_is_not_taken() -> None:
    has = "https://(a token)@git.test/itqan.git"
    (found,) = compare(CONFIG, host({}, **{"release.repository": has}))
    assert (found.has, found.takeable) == (has, False)


def test_a_host_as_the_settings_say_has_no_difference() -> None:
    assert compare(CONFIG, host({"APP_KEY": "a", "STRIPE_SECRET": "c"}, **{"release.ref": "main"})) == []


def test_differences_are_told_with_both_values() -> None:
    found = compare(
        CONFIG, host({"LOG_LEVEL": "debug", "NEW": "1", "DB_USERNAME": "other"}, domain="itqan.test")
    )
    assert found == [
        Difference(".env", "database.user", "itqan", "other"),
        Difference(".env", "environment.LOG_LEVEL", "error", "debug"),
        Difference(".env", "environment.NEW", "-", "1"),
    ]


def test_what_only_follows_another_setting_is_not_taken() -> None:
    (url,) = compare(CONFIG, host({"APP_URL": "http://itqan.test"}))
    assert (url.key, url.takeable) == ("APP_URL (from domain)", False)


def test_the_commit_that_is_checked_out_is_as_good_as_its_branch() -> None:
    facts = {"commit": "c0ffee", "release.ref": "main"}
    config = {**CONFIG, "release": {"ref": "c0ffee"}}
    assert compare(config, host({}, **facts)) == []
    (other,) = compare({**CONFIG, "release": {"ref": "next"}}, host({}, **facts))
    assert (other.key, other.has) == ("release.ref", "main")


def test_the_report_names_what_comes_next() -> None:
    difference = Difference("host", "php.pool.maxChildren", "5", "6")
    text = Adoption("prod", ["appKey"], [], [difference], taken=False, missing=[]).text()
    assert "secrets stored, encrypted in Pulumi.prod.yaml: appKey" in text
    assert "./itqan adopt prod --take" in text
    assert text.index("./itqan audit prod") < text.index("./itqan up --stack prod")
    lacking = Adoption("prod", [], [], [], taken=False, missing=["a line to type"]).text()
    assert lacking.endswith("still missing:\n  a line to type")


def test_a_secret_with_two_values_is_neither_new_nor_the_same() -> None:
    stored = {"appKey": "a", "deployKey": "lines", "environmentSecrets": {"STRIPE_SECRET": "c"}}
    found = {"appKey": "other", "deployKey": "lines\n", "STRIPE_SECRET": "c", "mailPassword": "m"}
    same, new, disputed = sorted_secrets(stored, found)
    assert (same, new, disputed) == (["deployKey", "STRIPE_SECRET"], ["mailPassword"], ["appKey"])


def test_what_is_done_about_a_secret_with_two_values_is_told() -> None:
    def text(choice: Choice) -> str:
        return Adoption("prod", [], [], [], False, [], ["appKey"], choice).text()

    assert "left so: appKey" in text("")
    assert "./itqan adopt prod --replace" in text("") and "./itqan adopt prod --keep" in text("")
    assert "replaced by the host's: appKey" in text("host")
    assert "the stored ones stay: appKey" in text("stored")
    assert Adoption("prod", [], [], [], False, [], ["appKey"]).is_open
    assert not Adoption("prod", [], [], [], False, [], ["appKey"], "stored").is_open


def test_keys_of_the_git_server_are_added_to_those_of_the_settings() -> None:
    ours, theirs = "git.test ssh-ed25519 AAAA", "git.test ecdsa-sha2-nistp256 BBBB"
    config = {**CONFIG, "release": {"ref": "main", "knownHosts": [ours]}}
    running = replace(host({}), known_hosts=["|1|salt=|digest= ssh-ed25519 AAAA", theirs])
    (difference,) = compare(config, running)
    assert (difference.key, difference.says, difference.lines) == (
        "release.knownHosts",
        "1 lines",
        [ours, theirs],
    )
    assert difference.has.startswith("ecdsa-sha2-nistp256 SHA256:")
    assert compare(config, replace(host({}), known_hosts=[ours])) == []
