"""Records and certificate by Hostinger's API: a fake of it tells the copy's name server, Pebble asks that."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from ipaddress import IPv4Address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.fakes.hostinger import Hostinger

from .copy import Copy, itqan, poll, pulumi

TOKEN = "geheim-token-of-the-end-to-end-test"
LINEAGE = "itqanway.com-0001"
CHALLENGE = "_acme-challenge"
ISSUED = "/run/itqan-test-issued"
FOLDERS = "/etc /run /root /home /tmp /usr/local /var/log /var/backups /var/lib/letsencrypt"
AUTHORITY = "/usr/local/share/ca-certificates/itqan-test-api.crt"
FOREIGN = [
    ("@", "MX", 14400, ["5 mx1.hostinger.com.", "10 mx2.hostinger.com."]),
    ("@", "TXT", 3600, ['"v=spf1 include:_spf.mail.hostinger.com ~all"']),
    ("default._domainkey", "TXT", 14400, ['"v=DKIM1; k=rsa; p=MIIBIjANBgkqhki"']),
    ("autodiscover", "CNAME", 300, ["autodiscover.mail.hostinger.com."]),
    ("@", "CAA", 14400, ['0 issue "letsencrypt.org"']),
]


def rrset(name: str, kind: str, ttl: int, contents: list[str]) -> dict[str, Any]:
    """A record set as the API has it."""
    return {
        "name": name,
        "type": kind,
        "ttl": ttl,
        "records": [{"content": content, "is_disabled": False} for content in contents],
    }


class Registry:
    """The way from the API's zone to the copy's name server: signed updates, as they change."""

    def __init__(self, copy: Copy) -> None:
        self.domain, self.container = copy.outputs["domain"], f"itqan-{copy.stack}-registrar"
        self.stopped = False
        self.most = 0  # values of the challenge's name at one time
        self._published: list[dict[str, Any]] = []
        self._secret = copy.bash("sed -n 's/^dns_rfc2136_secret = //p' /etc/letsencrypt/rfc2136.ini")
        # this machine, as the copy's network sees it
        self.gateway = copy.bash("ip -4 route show default | cut -d' ' -f3")

    def publish(self, zone: list[dict[str, Any]]) -> None:
        """What changed since the last time becomes an update of the name server."""
        values = [len(entry["records"]) for entry in zone if entry["name"] == CHALLENGE]
        self.most = max([self.most, *values])
        if self.stopped:
            return
        old, new = (
            [e for e in one if e not in other]
            for one, other in ((self._published, zone), (zone, self._published))
        )
        lines = [f"update delete {self.full(e['name'])} {e['type']}" for e in (*old, *new)]
        lines += [
            f"update add {self.full(e['name'])} {e['ttl']} {e['type']} {record['content']}"
            for e in new
            for record in e["records"]
        ]
        if lines:
            self.update(lines)
        self._published = json.loads(json.dumps(zone))

    def full(self, name: str) -> str:
        """A name of the API as a full one."""
        return f"{self.domain}." if name == "@" else f"{name}.{self.domain}."

    def update(self, lines: list[str]) -> None:
        """A signed update of the name server."""
        key = f"key hmac-sha512:itqan. {self._secret}"
        text = "\n".join(["server 127.0.0.1", key, *lines, "send\n"])
        command = ["docker", "exec", "-i", self.container, "nsupdate", "-v"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def ask(self, name: str, kind: str) -> list[str]:
        """What the name server answers, TTL included."""
        command = [
            "docker",
            "exec",
            self.container,
            "dig",
            "+noall",
            "+answer",
            "@127.0.0.1",
            self.full(name),
            kind,
        ]
        return sorted(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())

    def foreign(self) -> list[list[str]]:
        """The records that are not of the stack."""
        return [self.ask(name, kind) for name, kind, _, _ in FOREIGN]


def endpoint_certificate(address: str) -> bytes:
    """Certificate and key of the API's endpoint, PEM; it is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "itqan test API")])
    now = datetime.now(timezone.utc)
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(hours=1),
        not_valid_after=now + timedelta(days=1),
    )
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(address))]), critical=False
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    signed = builder.sign(key, SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return signed.public_bytes(Encoding.PEM) + private


@pytest.fixture(scope="module")
def registry(copy: Copy) -> Registry:
    """The copy's name server as the API's provider reaches it."""
    return Registry(copy)


@pytest.fixture(scope="module")
def api(copy: Copy, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostinger]:
    """The API, trusted by the server, with a zone that leads elsewhere; the stack uses it."""
    pem = tmp_path_factory.mktemp("api") / "api.pem"
    pem.write_bytes(endpoint_certificate(registry.gateway))
    public = pem.read_text().partition("-----BEGIN PRIVATE")[0]
    copy.bash(f"cat >{AUTHORITY} <<'END'\n{public}END\nupdate-ca-certificates >/dev/null 2>&1")
    zone = [rrset(*entry) for entry in FOREIGN]
    zone += [rrset("@", "A", 14400, ["192.0.2.77"]), rrset("@", "AAAA", 14400, ["2001:db8::77"])]
    domain = copy.outputs["domain"]
    settings = {"provider": "hostinger", "wait": "20"}
    with Hostinger(domain, zone, TOKEN, registry.publish, registry.gateway, pem) as fake:
        registry.publish(fake.zone)
        for key, value in {**settings, "api": fake.url}.items():
            pulumi("config", "set", "--stack", copy.stack, "--path", f"itqan:dns.{key}", value)
        pulumi("config", "set", "--stack", copy.stack, "--secret", "itqan:hostingerToken", TOKEN)
        yield fake
        registry.stopped = False
    for key in ("itqan:dns", "itqan:hostingerToken"):
        pulumi("config", "rm", "--stack", copy.stack, key)
    copy.bash(f"rm {AUTHORITY}; update-ca-certificates >/dev/null 2>&1")
    itqan("up", "--stack", copy.stack)
    assert fake.violations == []


@pytest.fixture(scope="module")
def faulty(copy: Copy, registry: Registry) -> Iterator[str]:
    """The directory of an authority that refuses good nonces, is slow, and may reuse authorizations."""
    script = (
        "sed 's/:14000/:14001/; s/:15000/:15001/' /run/itqan/pebble.json >/run/itqan/faulty.json\n"
        "PEBBLE_WFE_NONCEREJECT=15 PEBBLE_VA_SLEEPTIME=1 PEBBLE_AUTHZREUSE=50 "
        'exec pebble -config /run/itqan/faulty.json -dnsserver "$ITQAN_ADDRESS:53"'
    )
    run = subprocess.Popen(
        ["docker", "exec", registry.container, "timeout", "300", "bash", "-c", script],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = directory(copy).replace("/dir", ":14001/dir")
    poll(lambda: copy.bash(f"curl -fsS {url} || true"), 20, "the faulty authority")
    yield url
    # ending the client of an exec leaves its process inside: that is found by its file
    subprocess.run(
        [
            "docker",
            "exec",
            registry.container,
            "bash",
            "-c",
            "kill $(grep -lz faulty.json /proc/[0-9]*/cmdline | cut -d/ -f3)",
        ],
        check=False,
        capture_output=True,
    )
    run.wait(20)


def directory(copy: Copy) -> str:
    """The copy's own authority."""
    address = copy.bash("getent hosts registrar | cut -d' ' -f1")
    return f"https://{address}/dir"


def make_due(copy: Copy) -> None:
    """As if another authority had signed the certificate: one that is right is not asked for again."""
    conf = f"/etc/letsencrypt/renewal/{LINEAGE}.conf"
    copy.bash(f"sed -i 's|^server = .*|server = https://another.test/dir|' {conf}")


def issue(copy: Copy, authority: str, provider: str = "hostinger") -> subprocess.Popen[str]:
    """The lineage anew from an authority, by the unit's own words; runs, its words on `stderr`."""
    domain = copy.outputs["domain"]
    words = ["issue_certificate", LINEAGE, domain, f"admin@{domain}", authority, provider, "1", ""]
    apply = f"{shlex.join(words)}; touch {ISSUED}"
    probe = f"test -e {ISSUED} && echo issued"
    owner = copy.bash(f"rm -f {ISSUED}; sed -n 's/^stack //p' /etc/itqan/stack")
    return subprocess.Popen(
        [
            *("docker", "exec", copy.outputs["container"]),
            *("itqan-converge", owner, "test/issue", "0", probe, "issued", apply),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(run: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status and words of a run, once it has ended."""
    _, said = run.communicate(timeout=120)
    return run.returncode, said


def test_only_the_stacks_records_change_and_no_certificate_is_asked_for(
    copy: Copy, api: Hostinger, registry: Registry
) -> None:
    foreign, served = registry.foreign(), copy.served_certificate()
    assert all(foreign)
    itqan("up", "--stack", copy.stack)
    address = copy.outputs["address"]
    assert api.contents("@", "A") == api.contents("*", "A") == [address]
    assert api.contents("@", "AAAA") == []
    assert [line.split()[-1] for line in registry.ask("@", "A")] == [address]
    assert registry.foreign() == foreign
    assert [e for e in api.zone if (e["name"], e["type"]) in {f[:2] for f in FOREIGN}] == [
        rrset(*f) for f in FOREIGN
    ]
    assert copy.served_certificate() == served
    assert CHALLENGE not in json.dumps(api.requests)
    assert not copy.bash("ls /etc/letsencrypt/rfc2136.ini 2>/dev/null || true")
    assert itqan("audit", copy.stack, check=False).returncode == 0


def test_a_renewal_by_the_hooks_leaves_nothing_behind(copy: Copy, api: Hostinger, registry: Registry) -> None:
    foreign, served, zone = registry.foreign(), copy.served_certificate(), json.dumps(api.zone)
    api.requests.clear()
    # Pebble takes one authorization of an earlier order in a hundred again, though PEBBLE_AUTHZREUSE is 0:
    # `rand.Intn(100) > wfe.authzReusePercent` (wfe.go)
    for _ in range(3):
        copy.bash("certbot renew -q --force-renewal --no-random-sleep-on-renew")
        if registry.most == 2:
            break
    poll(lambda: copy.served_certificate() != served, 20, "the renewed certificate at nginx")
    assert registry.most == 2  # the wildcard's and the apex's value at one name
    assert json.dumps(api.zone) == zone
    assert registry.ask(CHALLENGE, "TXT") == []
    assert registry.foreign() == foreign
    updates = [index for index, (method, _, _) in enumerate(api.requests) if method == "PUT"]
    assert updates
    for index in updates:
        method, path, body = api.requests[index - 1]
        assert (method, path.rpartition("/")[2], body) == ("POST", "validate", api.requests[index][2])


def test_a_refused_token_is_one_clear_line(copy: Copy, api: Hostinger, registry: Registry) -> None:
    zone = json.dumps(api.zone)
    api.zone = [e for e in api.zone if (e["name"], e["type"]) != ("*", "A")]
    registry.publish(api.zone)
    api.token = "another"
    done = itqan("up", "--stack", copy.stack, check=False)
    said = done.stdout + done.stderr
    api.token = TOKEN
    assert done.returncode == 1
    assert "401, the token is not accepted: make one at hpanel.hostinger.com/profile/api" in said
    assert "Traceback" not in said and TOKEN not in said
    itqan("up", "--stack", copy.stack)
    assert sorted(map(json.dumps, api.zone)) == sorted(map(json.dumps, json.loads(zone)))


def test_the_token_is_in_its_file_only(copy: Copy, api: Hostinger) -> None:
    assert copy.bash("stat -c '%U:%G %a' /etc/itqan/dns.ini") == "root:root 600"
    found = copy.bash(f"grep -rls {TOKEN} {FOLDERS} || true")
    assert found.splitlines() == ["/etc/itqan/dns.ini"]
    assert TOKEN not in copy.bash("journalctl -b -q --no-pager")
    assert TOKEN not in pulumi("stack", "export", "--stack", copy.stack).stdout
    assert api.requests


def test_an_issue_that_fails_leaves_the_old_certificate_and_the_next_succeeds(
    copy: Copy, api: Hostinger, registry: Registry, faulty: str
) -> None:
    served, zone = copy.served_certificate(), json.dumps(api.zone)
    copy.bash("sed -i 's/^wait = .*/wait = 1/' /etc/itqan/dns.ini")
    make_due(copy)
    registry.stopped = True
    status, said = finished(issue(copy, directory(copy)))
    registry.stopped = False
    assert status == 1
    assert "itqan-dns: not at every name server of itqan.test after 1 s (itqan:dns.wait)" in said
    assert "itqan: certbot got no certificate for itqan.test" in said
    assert copy.served_certificate() == served
    assert json.dumps(api.zone) == zone
    # a busy machine takes more than a second to publish
    copy.bash("sed -i 's/^wait = .*/wait = 20/' /etc/itqan/dns.ini")

    def issued() -> bool:
        status, said = finished(issue(copy, faulty))
        assert json.dumps(api.zone) == zone, said
        if status:
            assert copy.served_certificate() == served
            assert "anti-replay nonce" in said, said
        return status == 0

    # certbot repeats a request with a refused nonce once; two refusals in a row end its run
    poll(issued, 100, "a certificate from an authority that refuses nonces")
    poll(lambda: copy.served_certificate() != served, 20, "the new certificate at nginx")
    assert registry.ask(CHALLENGE, "TXT") == []


def test_by_hand_each_value_is_shown_while_certbot_waits_for_it(
    copy: Copy, api: Hostinger, registry: Registry
) -> None:
    served, zone = copy.served_certificate(), json.dumps(api.zone)
    api.requests.clear()
    copy.bash("sed -i 's/^provider = .*/provider = manual/; s/^wait = .*/wait = 60/' /etc/itqan/dns.ini")
    make_due(copy)
    run = issue(copy, directory(copy), "manual")
    assert run.stderr
    entered, words = [], []
    for line in run.stderr:
        words.append(line)
        if shown := re.search(r"enter beside .*: (\S+) (\d+) TXT (\S+)", line):
            entered.append(shown.groups())
            registry.update([f"update add {shown[1]}. {shown[2]} TXT {shown[3]}"])
    assert run.wait(20) == 0, words
    assert [name for name, _, _ in entered] == [f"{CHALLENGE}.{registry.domain}"] * 2
    assert sum("no longer needed" in line for line in words) == 2
    registry.update([f"update delete {CHALLENGE}.{registry.domain}. TXT"])
    poll(lambda: copy.served_certificate() != served, 20, "the new certificate at nginx")
    assert api.requests == [] and json.dumps(api.zone) == zone
