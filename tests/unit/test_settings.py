"""Settings: every mistake is refused before anything runs, in one line: where, what, what is allowed."""

from __future__ import annotations

import json
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from settings import SECRETS, Settings, SettingsError, load, merged_config, missing_secrets, stack_file_config

Config = Callable[..., dict[str, Any]]
WORKER = {
    "name": "itqan-worker",
    "file": "itqan-worker.conf",
    "command": "php artisan queue:work",
    "log": "storage/logs/worker.log",
}
SCHEDULER = {
    "name": "itqan-scheduler",
    "file": "itqan-scheduler.conf",
    "command": "php artisan schedule:work",
    "log": "storage/logs/scheduler.log",
}


def problems(config: dict[str, Any], root: Path, stack: str = "prod") -> list[str]:
    """The lines that refuse a configuration."""
    with pytest.raises(SettingsError) as refused:
        load(stack, config, root)
    return refused.value.problems


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"ngnix": {}}, "itqan:ngnix: unknown key; remove it or correct its spelling"),
        (
            {"php": {"pool": {"maxChilden": 5}}},
            "itqan:php.pool.maxChilden: unknown key; remove it or correct its spelling",
        ),
        (
            {"server": {"authorized_keys": []}},
            "itqan:server.authorized_keys: unknown key; remove it or correct its spelling",
        ),
        ({"observe": "perhaps"}, "itqan:observe: 'perhaps': allowed: true, false, or observer"),
        (
            {"php": {"pool": {"maxChildren": "many"}}},
            "itqan:php.pool.maxChildren: 'many': allowed: 1 to 1000",
        ),
        (
            {"programs": "itqan-worker"},
            "itqan:programs: 'itqan-worker': allowed: Input should be a valid list",
        ),
        (
            {"domain": "Itqan Way"},
            "itqan:domain: 'Itqan Way': allowed: a domain name in lower case, such as itqanway.com",
        ),
        (
            {"domain": "itqanway"},
            "itqan:domain: 'itqanway': allowed: a domain name in lower case, such as itqanway.com",
        ),
        (
            {"domain": "itqanway.com\n"},
            "itqan:domain: 'itqanway.com\\n': allowed: a domain name in lower case, such as itqanway.com",
        ),
        (
            {"server": {"ipv4": "72.62.92.256"}},
            "itqan:server.ipv4: '72.62.92.256': allowed: an IPv4 address, such as 72.62.92.156",
        ),
        (
            {"server": {"ipv6": "2a02::41::1"}},
            "itqan:server.ipv6: '2a02::41::1': allowed: an IPv6 address, such as 2a02:4780:41:52de::1",
        ),
        (
            {"dns": {"conference": "somewhere"}},
            "itqan:dns.conference: 'somewhere': allowed: an IPv4 address, or external",
        ),
        ({"database": {"port": 65536}}, "itqan:database.port: 65536: allowed: a port, 1 to 65535"),
        (
            {"release": {"repository": "https://" + "itqan:ghp_x@git.test/itqan.git"}},
            "itqan:release.repository: (a URL with a password or token in it): allowed: the URL without it; "
            "the token was in plain sight, so revoke it, and store a new one as a secret: "
            "pulumi config set --secret itqan:repositoryToken (or git@host:owner/name.git and a key)",
        ),
        (
            {"release": {"repository": "ssh://git@git.test:2222/a.git", "knownHosts": []}},
            "itqan:release.knownHosts: missing; allowed: the host keys of git.test, such as `[git.test]:2222 "
            "ssh-ed25519 AAAA…`; `ssh-keyscan -p 2222 git.test` shows them, to be compared with what its "
            "owner says; then: pulumi config set --path 'itqan:release.knownHosts[0]' '[git.test]:2222 "
            "ssh-ed25519 AAAA…'",
        ),
        (
            {"release": {"knownHosts": []}},
            "itqan:release.knownHosts: missing; allowed: the host keys of github.com, such as `github.com "
            "ssh-ed25519 AAAA…`; github.com publishes them at https://api.github.com/meta (ssh_keys); then: "
            "pulumi config set --path 'itqan:release.knownHosts[0]' 'github.com ssh-ed25519 AAAA…'",
        ),
        (
            {"repositoryToken": "geheim"},
            "itqan:repositoryToken: is for a repository at https://…, and "
            "git@github.com:itqan/itqan-platform.git is none; take it away: pulumi config rm "
            "itqan:repositoryToken",
        ),
        (
            {"release": {"tokenUser": "a:b"}},
            "itqan:release.tokenUser: 'a:b': allowed: the user name that belongs to itqan:repositoryToken",
        ),
        (
            {"redisPassword": "geheim", "environmentSecrets": {"REDIS_PASSWORD": "geheim"}},
            "itqan:environmentSecrets.REDIS_PASSWORD: is the secret itqan:redisPassword too; keep that one",
        ),
        (
            {"redisPassword": "geheim", "environment": {"REDIS_USERNAME": "app"}},
            "itqan:environment.REDIS_USERNAME: app: itqan:redisPassword is that of `default`; the password "
            "of another one goes into itqan:environmentSecrets, as REDIS_PASSWORD",
        ),
        (
            {"rotation": {"of": "mail"}},
            "itqan:rotation.of: (secret): allowed: Input should be 'db', 'app-key', 'redis' or 'ssh'",
        ),
        ({"redis": {"port": 0}}, "itqan:redis.port: 0: allowed: a port, 1 to 65535"),
        ({"connection": {"port": "ssh"}}, "itqan:connection.port: 'ssh': allowed: a port, 1 to 65535"),
        (
            {"permissions": {"environment": {"mode": "rwx"}}},
            "itqan:permissions.environment.mode: 'rwx': allowed: an octal mode in quotes, such as \"755\"",
        ),
        (
            {"programs": [{**WORKER, "command": "rm -rf /"}]},
            "itqan:programs.0.command: 'rm -rf /': allowed: a command that starts with "
            "php, node or bash, on one line",
        ),
        (
            {"programs": [{key: WORKER[key] for key in ("name", "file", "command")}]},
            "itqan:programs.0.log: missing; allowed: a path below the application",
        ),
        (
            {"programs": [WORKER, {**WORKER, "file": "other.conf"}]},
            "itqan:programs: name itqan-worker stands twice; each program needs its own",
        ),
        (
            {"programs": [WORKER, {**WORKER, "name": "other"}]},
            "itqan:programs: file itqan-worker.conf stands twice; each program needs its own",
        ),
        (
            {"programs": [WORKER, SCHEDULER]},
            "itqan:scheduler: cron, while program itqan-scheduler runs it too, every task twice; "
            "keep one of the two",
        ),
        (
            {"php": {"pool": {"startServers": 4}}},
            "itqan:php.pool: minSpareServers <= startServers <= maxSpareServers <= maxChildren does not hold",
        ),
        (
            {"environment": {"DB_PASSWORD": "x"}},
            "itqan:environment: DB_PASSWORD come from other settings and secrets; remove them here",
        ),
        (
            {"environment": {"lower": "x"}},
            "itqan:environment.lower: 'lower': allowed: a variable name in capitals",
        ),
        ({"environment": {"TWO": "a\nB=c"}}, "itqan:environment.TWO: 'a\\nB=c': allowed: one line of text"),
        (
            {"certificate": {"directory": "http://acme.example/dir"}},
            "itqan:certificate.directory: 'http://acme.example/dir': allowed: the ACME directory, https://…; "
            "a copy has its own",
        ),
        (
            {"connection": {"hostKey": "ssh-rsa AAAA"}},
            "itqan:connection.hostKey: 'ssh-rsa AAAA': allowed: a public host key, ed25519 or ECDSA "
            "(an RSA key fails in Pulumi's plugin)",
        ),
        (
            {"connection": None},
            "itqan:connection: missing; allowed: host, port, user and hostKey of the server",
        ),
        (
            {"server": {"ipv4": None}},
            "itqan:server.ipv4: missing; allowed: the IPv4 address that the domain's records point to",
        ),
        (
            {"release": {"repository": "sample"}},
            "itqan:release.repository: sample: would replace the application of a production server",
        ),
        (
            {"dns": {"provider": "rfc2136", "server": "192.0.2.1", "keyName": "k."}, "tsigSecret": ""},
            "pulumi config set --secret itqan:tsigSecret    # provider rfc2136 needs it",
        ),
        (
            {"dns": {"provider": "rfc2136"}},
            "itqan:dns.server: missing; allowed: the zone's primary",
        ),
        (
            {"dns": {"provider": "hostinger"}, "hostingerToken": ""},
            "pulumi config set --secret itqan:hostingerToken    # provider hostinger needs it, "
            "from hpanel.hostinger.com/profile/api",
        ),
        (
            {"hostingerToken": "two words"},
            "itqan:hostingerToken: (secret): allowed: a token without blanks, as the provider shows it",
        ),
        (
            {"dns": {"provider": "cloudflare"}},
            "itqan:dns.provider: 'cloudflare': allowed: Input should be 'manual', 'rfc2136' or 'hostinger'",
        ),
        (
            {"dns": {"api": "http://api.test"}},
            "itqan:dns.api: 'http://api.test': allowed: the address of Hostinger's API, https://…",
        ),
        ({"dns": {"wait": 3601}}, "itqan:dns.wait: 3601: allowed: seconds, 0 to 3600"),
        (
            {"dns": {"zone": "qanway.com"}},
            "itqan:dns.zone: 'qanway.com': allowed: itqanway.com, or a zone that it lies in",
        ),
        ({"staging": {"subnet": "10.0.0.0/8"}}, "itqan:staging: subnet 10.0.0.0/8 is not a /24 to /28"),
        ({"target": ["host"]}, "itqan:target: ['host']: allowed: Input should be 'host' or 'docker'"),
    ],
)
def test_mistake_is_refused_in_one_line(
    config: Config, root: Path, changes: dict[str, Any], line: str
) -> None:
    found = problems(config("prod", **changes), root)
    assert line in found
    assert all("\n" not in problem for problem in found)


@pytest.mark.parametrize("scheduler", ["cron", "supervisor"])
def test_one_scheduler_is_accepted(stack: Callable[..., Settings], scheduler: str) -> None:
    assert stack("prod", scheduler=scheduler).scheduler == scheduler


def test_a_program_that_runs_the_scheduler_is_accepted_without_cron(stack: Callable[..., Settings]) -> None:
    settings = stack("prod", scheduler="supervisor", programs=[WORKER])
    assert [program.name for program in settings.programs] == ["itqan-worker"]


def test_all_mistakes_are_told_at_once(config: Config, root: Path) -> None:
    changes = {
        "domain": "?",
        "bogus": 1,
        "database": {"port": -1},
        "programs": [WORKER, SCHEDULER, WORKER],
        "appKey": None,
    }
    found = problems(config("prod", **changes), root)
    for start in (
        "itqan:domain: ",
        "itqan:bogus: ",
        "itqan:database.port: ",
        "itqan:programs: name ",
        "itqan:programs: file ",
        "itqan:scheduler: ",
        "pulumi config set --secret itqan:appKey ",
    ):
        assert sum(problem.startswith(start) for problem in found) == 1, start
    assert len(found) == 7


@pytest.mark.parametrize(
    ("stack", "missing"),
    [
        (
            "prod",
            "sshPrivateKey appKey databasePassword reverbAppId reverbAppKey reverbAppSecret mailUsername "
            "mailPassword livekitApiKey livekitApiSecret",
        ),
        (
            "staging",
            "sshPrivateKey sshHostPrivateKey registrarPrivateKey authorityPrivateKey tsigSecret appKey "
            "databasePassword reverbAppId reverbAppKey reverbAppSecret",
        ),
    ],
)
def test_missing_secrets_are_the_lines_to_type(config: Config, root: Path, stack: str, missing: str) -> None:
    bare = {key: value for key, value in config(stack).items() if key not in SECRETS}
    assert problems(bare, root, stack) == [
        f"pulumi config set --secret itqan:{name}    # {SECRETS[name].description}"
        for name in missing.split()
    ]


def test_an_empty_secret_is_a_missing_one_and_told_once(config: Config, root: Path) -> None:
    found = problems(config("prod", reverbAppKey=""), root)
    assert found == ["pulumi config set --secret itqan:reverbAppKey    # REVERB_APP_KEY"]


def test_a_copys_secrets_can_all_be_generated(config: Config, root: Path) -> None:
    bare = {key: value for key, value in config("staging").items() if key not in SECRETS}
    names = missing_secrets(merged_config(bare, root))
    made = {name: make() for name in names if (make := SECRETS[name].generate)}
    assert sorted(made) == sorted(names)
    assert load("staging", {**bare, **made}, root).app_key.get_secret_value().startswith("base64:")
    again = {name: make() for name in names if (make := SECRETS[name].generate)}
    assert not set(made.values()) & set(again.values())


def test_secrets_do_not_show_in_printed_settings(any_settings: Settings, secrets: dict[str, str]) -> None:
    for printed in (
        repr(any_settings),
        str(any_settings),
        any_settings.model_dump_json(),
        f"{any_settings!r}",
    ):
        assert [
            name for name, value in secrets.items() if value in printed or json.dumps(value)[1:-1] in printed
        ] == []
    assert "SecretStr('**********')" in repr(any_settings)


def test_secrets_do_not_show_in_refusals(config: Config, root: Path, secrets: dict[str, str]) -> None:
    nested = {name: [secrets.get(name, "geheim")] for name in SECRETS}
    text = "\n".join(problems(config("prod", domain="?", **nested), root))
    assert text.count("(secret)") == len(SECRETS)
    assert "geheim" not in text
    assert "PRIVATE KEY" not in text


def test_structured_values_may_be_json_as_pulumi_hands_them_over(
    config: Config, root: Path, prod: Settings
) -> None:
    as_text = {
        key: json.dumps(value) if isinstance(value, (dict, list)) else value
        for key, value in config("prod").items()
    }
    assert load("prod", as_text, root) == prod


def test_null_is_an_empty_text_as_pulumi_hands_it_over(config: Config, root: Path, tmp_path: Path) -> None:
    """`pulumi config set` also writes it so into the file of a stack."""
    empty = load("staging", {**config("staging"), "connection": ""}, root)
    assert empty == load("staging", config("staging"), root)
    write(tmp_path, "base", "config: {itqan:connection: {host: a}}")
    write(tmp_path, "middle", 'config: {itqan:extends: base, itqan:connection: ""}')
    assert "connection" not in merged_config({"extends": "middle"}, tmp_path)
    line = "itqan:domain: missing; allowed: a domain name in lower case, such as itqanway.com"
    assert problems(config("prod", domain=""), root) == [line]


def write(folder: Path, stack: str, text: str) -> None:
    (folder / f"Pulumi.{stack}.yaml").write_text(text)


def test_a_stack_takes_what_it_extends_key_by_key(tmp_path: Path) -> None:
    write(
        tmp_path,
        "base",
        "config:\n  itqan:server: {hostname: a, ipv4: 192.0.2.1}\n  itqan:programs: [1, 2]\n",
    )
    write(tmp_path, "middle", "config:\n  itqan:extends: base\n  itqan:server: {hostname: b}\n")
    own = {"extends": "middle", "server": {"ipv4": None}, "programs": [3]}
    merged = merged_config(own, tmp_path)
    assert merged["server"] == {"hostname": "b"}
    assert merged["programs"] == [3]


def test_null_takes_a_key_away(tmp_path: Path) -> None:
    write(tmp_path, "base", "config:\n  itqan:connection: {host: a}\n  itqan:domain: a.b\n")
    assert "connection" not in merged_config({"extends": "base", "connection": None}, tmp_path)


def test_encrypted_values_and_other_namespaces_stay_in_their_file(tmp_path: Path) -> None:
    write(
        tmp_path,
        "base",
        "config:\n  aws:region: x\n  itqan:appKey: {secure: v1:abc}\n"
        "  itqan:environment: {A: {secure: v1:x}, B: c}\n",
    )
    assert stack_file_config(tmp_path / "Pulumi.base.yaml") == {"environment": {"B": "c"}}


@pytest.mark.parametrize(
    ("files", "extends", "line"),
    [
        ({}, "gone", "itqan:extends: Pulumi.gone.yaml does not exist in "),
        (
            {"a": "config: {itqan:extends: b}", "b": "config: {itqan:extends: a}"},
            "a",
            "itqan:extends: a: the files extend each other in a circle",
        ),
        (
            {"a": "config: {itqan:extends: a}"},
            "a",
            "itqan:extends: a: the files extend each other in a circle",
        ),
        ({"a": "config: [unclosed"}, "a", "Pulumi.a.yaml: not valid YAML: "),
        ({"a": "- a list"}, "a", "Pulumi.a.yaml: `config` is not a map of keys and values"),
        ({"a": "config: 3"}, "a", "Pulumi.a.yaml: `config` is not a map of keys and values"),
        ({}, "../../etc/passwd", "itqan:extends: '../../etc/passwd': allowed: the name of a stack"),
        ({}, ["a"], "itqan:extends: ['a']: allowed: the name of a stack"),
    ],
)
def test_a_wrong_extends_is_refused(tmp_path: Path, files: dict[str, str], extends: Any, line: str) -> None:
    for stack, text in files.items():
        write(tmp_path, stack, text)
    found = problems({"extends": extends}, tmp_path, "own")
    assert len(found) == 1
    assert found[0].startswith(line)
    assert "\n" not in found[0]


def test_copies_have_networks_of_their_own(stack: Callable[..., Settings]) -> None:
    staging = stack("staging")
    other = staging.model_copy(update={"stack": "another"})
    other.__dict__.pop("subnet", None)
    assert staging.subnet.subnet_of(IPv4Network("10.213.0.0/16"))
    assert staging.subnet.prefixlen == 26
    assert other.subnet != staging.subnet
    assert {staging.server_address, staging.registrar_address} <= set(staging.subnet.hosts())
    assert staging.name_server == staging.registrar_address


def test_a_copys_network_can_be_chosen(stack: Callable[..., Settings]) -> None:
    settings = stack("staging", staging={"subnet": "192.168.200.0/28"})
    assert settings.server_address == IPv4Address("192.168.200.10")


def test_strict_hardening_is_what_we_recommend(prod: Settings, strict: Settings) -> None:
    documented, recommended = prod.environment_mode, strict.environment_mode
    assert (documented.owner, documented.mode, prod.reverb_host) == ("deploy:deploy", "755", "0.0.0.0")
    assert (recommended.owner, recommended.mode, strict.reverb_host) == (
        "deploy:www-data",
        "640",
        "127.0.0.1",
    )


def test_the_bundle_of_a_copys_secrets_counts_as_single_ones(
    config: Config, root: Path, secrets: dict[str, str]
) -> None:
    rest = {key: value for key, value in config("staging").items() if key not in secrets}
    bundle = json.dumps(secrets)
    assert load("staging", {**rest, "secrets": bundle}, root).app_key.get_secret_value() == secrets["appKey"]
    alone = load("staging", {**rest, "secrets": bundle, "appKey": "base64:other"}, root)
    assert alone.app_key.get_secret_value() == "base64:other"
