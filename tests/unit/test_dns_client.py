"""The client on the host, against a fake of Hostinger's API that keeps a zone."""

from __future__ import annotations

import io
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.dns import client_script
from files.dns import client
from tests.fakes.hostinger import CORRELATION, Fault, Hostinger, violations

TOKEN = "t0ken-of-a-test"
ZONE: list[dict[str, Any]] = [
    {"name": "@", "type": "A", "ttl": 14400, "records": [{"content": "84.32.84.32", "is_disabled": False}]},
    {
        "name": "@",
        "type": "MX",
        "ttl": 14400,
        "records": [{"content": "5 mx1.hostinger.com.", "is_disabled": False}],
    },
    {
        "name": "@",
        "type": "TXT",
        "ttl": 3600,
        "records": [{"content": '"v=spf1 include:_spf.mail.hostinger.com ~all"', "is_disabled": False}],
    },
    {
        "name": "www",
        "type": "CNAME",
        "ttl": 300,
        "records": [{"content": "itqan.test.", "is_disabled": False}],
    },
    {"name": "*", "type": "AAAA", "ttl": 60, "records": [{"content": "2001:db8::bad", "is_disabled": False}]},
]
WANTED = "itqan.test A 192.0.2.10\n*.itqan.test A 192.0.2.10\n"
OWNED = {("@", "A"), ("@", "AAAA"), ("*", "A"), ("*", "AAAA")}
Run = Callable[..., "tuple[int, str]"]


@pytest.fixture
def api() -> Iterator[Hostinger]:
    """The fake; whatever was said to it and by it was as the official description says."""
    with Hostinger("itqan.test", ZONE, TOKEN) as fake:
        yield fake
    assert fake.violations == []


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function: write dns.ini with changes laid over it."""
    monkeypatch.setattr(client, "SETTINGS", tmp_path / "dns.ini")

    def write(**changes: object) -> None:
        values = {
            "provider": "hostinger",
            "zone": "itqan.test",
            "ttl": 60,
            "wait": 0,
            "token": TOKEN,
            **changes,
        }
        lines = "".join(f"{key} = {value}\n" for key, value in values.items())
        (tmp_path / "dns.ini").write_text(f"# managed by itqan\n[dns]\n{lines}")

    return write


class NameServers:
    """Two name servers of a zone, which answer what the provider has; `late` looks that see nothing yet."""

    def __init__(self, zone: Callable[[], list[dict[str, Any]]]) -> None:
        self.zone, self.names, self.silent, self.late = zone, ["ns1.test.", "ns2.test."], set[str](), 0

    def dig(self, *words: str) -> list[str] | None:
        if words[-1] == "NS":
            return self.names
        server, name, kind = words
        if server in self.silent:
            return None
        if self.late:
            self.late -= 1
            return []
        short = "@" if name == "itqan.test" else name.removesuffix(".itqan.test")
        found = [e for e in self.zone() if (e["name"], e["type"]) == (short, kind)]
        return [record["content"] for entry in found for record in entry["records"]]


@pytest.fixture
def world(api: Hostinger) -> NameServers:
    return NameServers(lambda: api.zone)


@pytest.fixture
def run(
    api: Hostinger,
    world: NameServers,
    settings: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Run:
    """A function: the client with a word, quick in its waiting. Returns exit status and what it said."""
    settings(api=api.url)
    monkeypatch.setattr(client, "dig", world.dig)
    for name, value in {"TIMEOUT": 0.5, "PAUSE": 0.01, "POLL": 0.01}.items():
        monkeypatch.setattr(client, name, value)
    monkeypatch.setattr(client, "CHALLENGES", tmp_path / "run/challenges")

    def call(
        word: str, stdin: str = WANTED, value: str = "one", domain: str = "itqan.test"
    ) -> tuple[int, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        monkeypatch.setenv("CERTBOT_DOMAIN", domain)
        monkeypatch.setenv("CERTBOT_VALIDATION", value)
        status = client.main([word])
        said = capsys.readouterr()
        assert said.out == ""
        assert TOKEN not in said.err
        return status, said.err

    return call


def others(zone: list[dict[str, Any]]) -> str:
    """Every record set that the stack does not own, byte for byte."""
    return json.dumps([e for e in zone if (e["name"], e["type"]) not in OWNED])


class TestRecords:
    def test_only_what_is_owned_changes(self, api: Hostinger, run: Run) -> None:
        assert run("records") == (0, "")
        assert api.contents("@", "A") == api.contents("*", "A") == ["192.0.2.10"]
        assert api.contents("*", "AAAA") == []
        assert others(api.zone) == others(ZONE)
        assert {e["ttl"] for e in api.zone if (e["name"], e["type"]) in OWNED} == {60}

    def test_every_update_is_validated_before(self, api: Hostinger, run: Run) -> None:
        run("records")
        assert api.called() == ["GET itqan.test", "POST validate", "PUT itqan.test", "DELETE itqan.test"]
        assert api.requests[1][2] == api.requests[2][2]
        named = {(e["name"], e["type"]) for e in api.requests[2][2]["zone"]}
        assert named == {("@", "A"), ("*", "A")}
        assert api.requests[3][2] == {"filters": [{"name": "*", "type": "AAAA"}]}

    def test_a_second_run_asks_for_nothing(self, api: Hostinger, run: Run) -> None:
        run("records")
        api.requests.clear()
        assert run("records") == (0, "")
        assert api.called() == ["GET itqan.test"]

    def test_a_disabled_record_is_entered_again(self, api: Hostinger, run: Run) -> None:
        run("records")
        next(e for e in api.zone if (e["name"], e["type"]) == ("@", "A"))["records"][0]["is_disabled"] = True
        run("records")
        assert not next(e for e in api.zone if (e["name"], e["type"]) == ("@", "A"))["records"][0][
            "is_disabled"
        ]

    def test_addresses_are_compared_as_addresses(self, api: Hostinger, run: Run) -> None:
        run("records", "itqan.test AAAA 2001:db8::1\n")
        found = next(e for e in api.zone if (e["name"], e["type"]) == ("@", "AAAA"))
        found["records"][0]["content"] = "2001:0DB8:0:0::0001"
        api.requests.clear()
        assert run("records", "itqan.test AAAA 2001:db8:0::1\n") == (0, "")
        assert api.called() == ["GET itqan.test"]

    @pytest.mark.parametrize("kind", ["CNAME", "ALIAS"])
    def test_what_excludes_an_address_is_named_and_left(self, api: Hostinger, run: Run, kind: str) -> None:
        api.zone.append({"name": "*", "type": kind, "ttl": 60, "records": [{"content": "x.test."}]})
        before = json.dumps(api.zone)
        status, said = run("records")
        assert status == 1
        assert f"has {kind} *, beside which no address record can stand: remove it in hPanel" in said
        assert json.dumps(api.zone) == before

    def test_it_waits_for_every_name_server(
        self, run: Run, world: NameServers, settings: Callable[..., None], api: Hostinger
    ) -> None:
        settings(api=api.url, wait=20)
        world.late = 9
        assert run("records") == (0, "")
        assert world.late == 0

    def test_what_does_not_arrive_is_told(self, run: Run, world: NameServers) -> None:
        world.silent.add("@ns2.test.")
        status, said = run("records")
        assert status == 1
        assert said == (
            "itqan-dns: not at every name server of itqan.test after 0 s (itqan:dns.wait): "
            "ns2.test. does not answer; run this again when they answer\n"
        )

    def test_a_zone_without_name_servers_is_told(self, run: Run, world: NameServers) -> None:
        world.names = []
        assert (
            "knows no name server of itqan.test: is the domain registered and delegated?" in run("records")[1]
        )

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("itqan.test A 2001:db8::1", "2001:db8::1 is no content of a record A"),
            ("itqan.test MX 5 mail", "not `name type address`"),
            ("itqan.test A nowhere", "not `name type address`"),
            ("other.test A 192.0.2.1", "other.test is not in the zone itqan.test: correct itqan:dns.zone"),
        ],
    )
    def test_wrong_lines(self, run: Run, api: Hostinger, line: str, said: str) -> None:
        status, words = run("records", line)
        assert status == 1
        assert said in words
        assert api.requests == []


class TestChallenges:
    NAME = "_acme-challenge"

    def test_both_values_stand_at_once_and_each_leaves_alone(self, api: Hostinger, run: Run) -> None:
        assert (
            run("present", value="apex") == run("present", value="wildcard", domain="*.itqan.test") == (0, "")
        )
        assert api.contents(self.NAME, "TXT") == ['"apex"', '"wildcard"']
        assert run("withdraw", value="apex") == (0, "")
        assert api.contents(self.NAME, "TXT") == ['"wildcard"']
        assert run("withdraw", value="wildcard") == (0, "")
        assert api.zone == ZONE

    def test_a_value_of_somebody_else_stays_as_it_is(self, api: Hostinger, run: Run) -> None:
        api.zone.append({"name": self.NAME, "type": "TXT", "ttl": 60, "records": [{"content": '"theirs"'}]})
        run("present")
        run("withdraw")
        assert api.contents(self.NAME, "TXT") == ['"theirs"']

    def test_twice_is_once(self, api: Hostinger, run: Run) -> None:
        assert run("present") == run("present") == (0, "")
        assert api.contents(self.NAME, "TXT") == ['"one"']
        assert run("withdraw") == run("withdraw") == (0, "")

    def test_an_update_whose_answer_was_lost_is_not_repeated(self, api: Hostinger, run: Run) -> None:
        api.faults.append(Fault(method="PUT", delay=1, done=True))
        assert run("present") == (0, "")
        assert api.contents(self.NAME, "TXT") == ['"one"']
        assert api.called().count("PUT itqan.test") == 1

    def test_a_removal_whose_answer_was_lost_is_not_repeated(self, api: Hostinger, run: Run) -> None:
        run("present")
        api.faults.append(Fault(method="DELETE", status=502, done=True))
        assert run("withdraw") == (0, "")
        assert api.zone == ZONE

    def test_the_zone_above_the_domain(self, api: Hostinger, run: Run) -> None:
        assert run("present", domain="shop.itqan.test") == (0, "")
        assert api.contents(f"{self.NAME}.shop", "TXT") == ['"one"']

    def test_outside_of_certbot(self) -> None:
        assert client.challenge({"CERTBOT_DOMAIN": "a.itqan.test", "CERTBOT_VALIDATION": "x"}, _settings())[0]
        with pytest.raises(client.Problem, match="CERTBOT_VALIDATION is not set: this is a hook of certbot"):
            client.challenge({"CERTBOT_DOMAIN": "itqan.test"}, _settings())


def _settings() -> client.Settings:
    return client.Settings("hostinger", "itqan.test", 60, 0)


class TestErrors:
    @pytest.mark.parametrize("word", ["records", "present", "withdraw", "check"])
    def test_a_token_that_is_not_accepted(self, api: Hostinger, run: Run, word: str) -> None:
        api.token = "another"
        status, said = run(word)
        assert status == 1
        assert said == (
            f"itqan-dns: GET {api.url}/api/dns/v1/zones/itqan.test: 401, the token is not accepted: make "
            "one at hpanel.hostinger.com/profile/api, then `pulumi config set --secret itqan:hostingerToken` "
            f"(Unauthenticated; correlation id {CORRELATION})\n"
        )

    def test_refused_records_change_nothing(self, api: Hostinger, run: Run) -> None:
        said = {
            "message": "The ttl is too low.",
            "errors": {"zone.0.ttl": ["The ttl is too low.", "At least 300."]},
        }
        api.faults.append(Fault(422, "POST", content=json.dumps(said).encode()))
        status, words = run("records")
        assert status == 1
        assert "422, the API refuses the records, nothing was changed" in words
        assert "(The ttl is too low.; At least 300.)" in words
        assert api.zone == ZONE
        assert words.count("\n") == 1

    @pytest.mark.parametrize(
        ("fault", "said"),
        [
            (Fault(429, headers={"Retry-After": "0"}), "429, the API's limit of requests is reached"),
            (
                Fault(429, headers={"Retry-After": "Thu, 01 Jan 2026 00:00:00 GMT"}),
                "run this again in some minutes",
            ),
            (Fault(429, headers={"Retry-After": "soon"}), "429"),
            (Fault(500), f"500, the API itself fails (Error message; correlation id {CORRELATION})"),
            (Fault(502, content=b"<html>bad gateway"), "502, the API itself fails: run this again later"),
            (Fault(delay=0.8), "no answer within 0.5 s: check the host's way out, then run this again"),
        ],
    )
    def test_what_may_pass_is_asked_again_a_few_times(
        self, api: Hostinger, run: Run, fault: Fault, said: str
    ) -> None:
        api.faults[:] = [fault] * (client.TRIES - 1)
        assert run("records") == (0, "")
        api.faults[:] = [fault] * client.TRIES
        api.requests.clear()
        status, words = run("records")
        assert status == 1
        assert said in words
        assert words.endswith(f"(asked {client.TRIES} times)\n")
        assert words.count("\n") == 1
        assert len(api.requests) == client.TRIES

    def test_retry_after_is_kept(self, api: Hostinger, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        slept: list[float] = []
        monkeypatch.setattr(client, "time", SimpleNamespace(sleep=slept.append, monotonic=time.monotonic))
        api.faults[:] = [
            Fault(429, headers={"Retry-After": "7"}),
            Fault(429, headers={"Retry-After": "9999"}),
        ]
        assert run("records") == (0, "")
        assert slept == [7, client.LONGEST_PAUSE]

    @pytest.mark.parametrize(
        ("fault", "said"),
        [
            (Fault(200, content=b"<html>Log in"), "the answer is not JSON but '<html>Log in'"),
            (Fault(200, content=b'{"message": "fine"}'), "answered with no zone: is itqan:dns.api right?"),
            (Fault(403), "403, the token's owner may not change this zone"),
            (Fault(404), "404, the account has no such zone: compare itqan:dns.zone"),
            (Fault(418, content=b"tea"), "418, not expected"),
            (
                Fault(302, headers={"Location": "http://elsewhere.test/"}),
                "302, it points to http://elsewhere.test/, and a token is not sent on",
            ),
        ],
    )
    def test_what_does_not_pass_is_asked_once(
        self, api: Hostinger, run: Run, fault: Fault, said: str
    ) -> None:
        api.faults.append(fault)
        status, words = run("records")
        assert status == 1
        assert said in words
        assert words.count("\n") == 1
        assert len(api.requests) == 1

    def test_a_name_that_does_not_exist(self, run: Run, settings: Callable[..., None]) -> None:
        settings(api="https://api.invalid")
        said = run("records")[1]
        assert "the name cannot be resolved: check the host's resolver and itqan:dns.api" in said
        assert said.count("\n") == 1

    def test_nobody_listens(self, run: Run, settings: Callable[..., None]) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            settings(api=f"http://127.0.0.1:{closed.getsockname()[1]}")
        assert "Connection refused" in run("records")[1]

    @pytest.mark.parametrize(
        "content", ["", "[dns]\nprovider = hostinger\n", "token = geheim\n", "[dns]\ngeheim"]
    )
    def test_settings_that_are_not_whole(self, run: Run, content: str) -> None:
        client.SETTINGS.write_text(content)
        status, said = run("records")
        assert status == 1
        assert "cannot be read" in said and "run `./itqan up`" in said
        assert "geheim" not in said

    def test_a_check_changes_nothing(self, api: Hostinger, run: Run, world: NameServers) -> None:
        assert run("check") == (0, "")
        assert api.called() == ["GET itqan.test"]
        world.names = []
        status, said = run("check")
        assert status == 1
        assert "is the domain registered and delegated?" in said

    def test_wrong_words(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert client.main(["remove"]) == client.main([]) == 2
        assert "usage: itqan-dns records|present|withdraw|check" in capsys.readouterr().err


class TestByHand:
    @pytest.fixture
    def manual(self, run: Run, settings: Callable[..., None]) -> Run:
        settings(provider="manual", wait=5)
        return run

    def test_what_the_world_does_not_see_is_told_until_it_does(
        self, api: Hostinger, manual: Run, world: NameServers
    ) -> None:
        for entry in [e for e in api.zone if e["type"] in ("A", "AAAA")]:
            api.zone.remove(entry)
        api.zone.append({"name": "@", "type": "A", "records": [{"content": "192.0.2.10"}]})
        asked: list[str] = []

        def dig(*words: str) -> list[str] | None:
            asked.append(words[1])
            if len(asked) == 20:  # the person enters it
                api.zone.append({"name": "*", "type": "A", "records": [{"content": "192.0.2.10"}]})
            return world.dig(*words)

        client_dig, client.dig = client.dig, dig
        status, said = manual("records")
        client.dig = client_dig
        assert status == 0
        assert said.splitlines()[1:] == ["! *.itqan.test 60 A 192.0.2.10"]
        assert "enter these records where the zone itqan.test is kept" in said
        assert api.requests == []

    def test_a_surplus_record_is_told(self, manual: Run, settings: Callable[..., None]) -> None:
        settings(provider="manual", wait=0)
        status, said = manual("records")
        assert status == 1
        assert "! *.itqan.test AAAA: none, remove it" in said

    def test_a_challenge_is_shown_where_the_unit_reads_it(self, api: Hostinger, manual: Run) -> None:
        api.zone.append({"name": "_acme-challenge", "type": "TXT", "records": [{"content": '"one"'}]})
        status, said = manual("present")
        assert status == 0
        assert "enter beside what is there, within 5 s: _acme-challenge.itqan.test 60 TXT one" in said
        manual("withdraw")
        lines = client.CHALLENGES.read_text().splitlines()
        assert [line.rpartition(" TXT ")[2] for line in lines] == ["one", "one"]
        assert lines[0].startswith("! enter beside") and "no longer needed" in lines[1]


def test_the_program_of_the_host_compiles() -> None:
    script = client_script()
    assert script.startswith("#!/usr/bin/python3 -I\n# managed by itqan, files/dns/client.py")
    compile(script, "itqan-dns", "exec")


def test_dig_reads_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "dig"
    program.write_text(
        '#!/bin/sh\nprintf \';; a warning\\n"one" "two"\\n\\n\'\ncase $* in *silent*) exit 9;; esac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert client.dig("@ns1", "x", "TXT") == ['"one" "two"']
    assert client.dig("@silent", "x", "TXT") is None
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(client.Problem, match="install bind9-dnsutils"):
        client.dig("x")


@pytest.mark.parametrize(
    ("content", "kind", "wanted"),
    [
        ('"v=spf1" " ~all"', "TXT", "v=spf1 ~all"),
        ("bare", "TXT", "bare"),
        ("2001:DB8:0::1", "AAAA", "2001:db8::1"),
        ("other.test.", "A", "other.test."),
    ],
)
def test_plain(content: str, kind: str, wanted: str) -> None:
    assert client.plain(content, kind) == wanted


def test_the_fake_is_held_to_the_description() -> None:
    path = "/api/dns/v1/zones/itqan.test"
    assert violations("GET", path, None, 200, ZONE) == []
    assert violations("GET", path, None, 200, {"zone": ZONE})
    assert violations("GET", path, None, 302, None)
    assert violations("PUT", path, {"zone": [{"name": "@", "type": "PTR", "records": []}]}, 200, {})
    assert violations("PUT", path, {"records": []}, 200, {})
    assert violations("DELETE", path, {"filters": [{"name": "@"}]}, 200, {})
    assert violations("PATCH", path, None, 200, {})
