"""Records of the stack's zone: entered by Hostinger's API or by a person, then awaited at its name servers.

itqan-dns records    standard input has the address records, one `name type address` a line
itqan-dns present    certbot's --manual-auth-hook: one more TXT value, awaited at every name server
itqan-dns withdraw   certbot's --manual-cleanup-hook: that value goes, others of its name stay
itqan-dns check      whether a challenge could be answered: a failed one counts at the authority
itqan-dns try        standard input has settings: whether the provider lets them see the zone, asked once

Settings stand in /etc/itqan/dns.ini but for `try`, certbot's words in CERTBOT_DOMAIN and CERTBOT_VALIDATION.
Needs Python 3.10 and dig, nothing else.
"""

from __future__ import annotations

import configparser
import http.client
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

SETTINGS = Path("/etc/itqan/dns.ini")
CHALLENGES = Path(
    "/run/itqan/challenges"
)  # what a person has to enter while certbot keeps a hook's words back
TIMEOUT = 20.0  # seconds for one answer of the API
TRIES = 4
PAUSE = 2.0  # seconds before the second try; each further one waits twice as long
LONGEST_PAUSE = 60.0  # seconds; what Retry-After may ask for
POLL = 2.0  # seconds between two looks at the name servers
ASK = "! "
ADDRESS_TYPES = ("A", "AAAA")

Key = tuple[str, str]  # a record set: full name and type


class Problem(Exception):
    """One line for the person who reads: what was found, what to do."""


class Transient(Problem):
    """A problem that may be gone a moment later; `pause`, seconds that the API asks to wait."""

    def __init__(self, text: str, pause: float | None = None) -> None:
        super().__init__(text)
        self.pause = pause


@dataclass(frozen=True)
class Settings:
    """What dns.ini says.

    zone    the domain as the provider keeps it
    server  who knows the zone's name servers; empty: the host's resolver
    wait    seconds until the name servers have to answer with a change
    """

    provider: str
    zone: str
    ttl: int
    wait: int
    server: str = ""
    api: str = ""
    token: str = field(default="", repr=False)

    @classmethod
    def read(cls, path: Path) -> Settings:
        """Raises Problem when the file is not there or not whole."""
        try:
            return cls.parse(path.read_text())
        except (OSError, KeyError, ValueError, configparser.Error) as error:
            reason = type(error).__name__  # a parser's own words may quote the line with the token
            raise Problem(f"{path} cannot be read ({reason}): run `./itqan up`, which writes it") from None

    @classmethod
    def parse(cls, text: str) -> Settings:
        """Raises KeyError, ValueError or configparser.Error for a text that is not whole."""
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(text)
        values = parser["dns"]
        return cls(
            provider=values["provider"],
            zone=values["zone"],
            ttl=int(values["ttl"]),
            wait=int(values["wait"]),
            server=values.get("server", ""),
            api=values.get("api", "").rstrip("/"),
            token=values.get("token", ""),
        )


# -- the API


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token to another host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Hostinger:
    """Hostinger's DNS API, version 1: https://developers.hostinger.com."""

    def __init__(self, settings: Settings, tries: int = TRIES) -> None:
        """Arguments: `tries`, how often one question is asked where that can help."""
        self._settings, self._tries = settings, tries
        self._path = f"/api/dns/v1/zones/{settings.zone}"
        self._opener = urllib.request.build_opener(_NoRedirect())

    def zone(self) -> list[dict[str, Any]]:
        """The record sets of the zone: name, type, ttl, records. Raises Problem."""
        sets = self._patiently("GET", self._path)
        if not isinstance(sets, list) or not all(isinstance(entry, dict) for entry in sets):
            raise Problem(f"{self._settings.api} answered with no zone: is itqan:dns.api right?")
        return sets

    def update(
        self, sets: list[dict[str, Any]], *, overwrite: bool, done: Callable[[], bool] | None = None
    ) -> None:
        """Validates record sets, then enters them. Raises Problem; what is not valid changes nothing.

        Arguments: `overwrite`, the sets replace those of their name and type, else their records are added;
        `done`, asked before an update is repeated whose answer was lost.
        """
        body = {"overwrite": overwrite, "zone": sets}
        self._patiently("POST", f"{self._path}/validate", body)
        self._patiently("PUT", self._path, body, done)

    def delete(self, keys: Iterable[Key]) -> None:
        """Removes whole record sets, named as the API does. Raises Problem."""
        gone = set(keys)
        filters = [{"name": name, "type": kind} for name, kind in sorted(gone)]

        def done() -> bool:
            return gone.isdisjoint((entry.get("name"), entry.get("type")) for entry in self.zone())

        self._patiently("DELETE", self._path, {"filters": filters}, done)

    def _patiently(
        self, method: str, path: str, body: object = None, done: Callable[[], bool] | None = None
    ) -> Any:
        """Asks again, a bounded number of times, where that can help: 429, 5xx, no answer in time."""
        pause = PAUSE
        for attempt in range(1, self._tries + 1):
            try:
                return self._once(method, path, body)
            except Transient as problem:
                if attempt == self._tries:
                    asked = f" (asked {self._tries} times)" if self._tries > 1 else ""
                    raise Problem(f"{problem}{asked}") from None
                time.sleep(min(pause if problem.pause is None else problem.pause, LONGEST_PAUSE))
            pause *= 2
            if done and done():
                return None
        return None

    def _once(self, method: str, path: str, body: object) -> Any:
        request = urllib.request.Request(
            self._settings.api + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self._settings.token}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "User-Agent": "itqan-dns",
            },
        )
        what = f"{method} {self._settings.api}{path}"
        try:
            with self._opener.open(request, timeout=TIMEOUT) as response:
                return _json(what, response.read())
        except urllib.error.HTTPError as error:
            raise _refusal(what, error.code, error.headers, _body(error)) from None
        except urllib.error.URLError as error:
            raise _no_answer(what, error.reason) from None
        except (OSError, http.client.HTTPException) as error:
            raise _no_answer(what, error) from None


def _body(error: urllib.error.HTTPError) -> bytes:
    try:
        return error.read()
    except (OSError, http.client.HTTPException):
        return b""


def _json(what: str, content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        start = " ".join(content[:60].decode(errors="replace").split())
        raise Problem(
            f"{what}: the answer is not JSON but {start!r}: is itqan:dns.api right, or does a proxy answer?"
        ) from None


def _refusal(what: str, code: int, headers: Any, content: bytes) -> Problem:
    """The line for an answer that is no success."""
    said = _said(content)
    if code == 429:
        return Transient(
            f"{what}: 429, the API's limit of requests is reached: run this again in some minutes{said}",
            _seconds(headers.get("Retry-After")),
        )
    if code >= 500:
        return Transient(f"{what}: {code}, the API itself fails{said}: run this again later")
    advice = {
        401: "the token is not accepted: make one at hpanel.hostinger.com/profile/api, then "
        "`pulumi config set --secret itqan:hostingerToken`",
        403: "the token's owner may not change this zone: use a token of the account that holds the domain",
        404: "the account has no such zone: compare itqan:dns.zone and the token's account",
        422: "the API refuses the records, nothing was changed: correct the settings they come from",
    }
    moved = f"it points to {headers.get('Location')}, and a token is not sent on: correct itqan:dns.api"
    return Problem(
        f"{what}: {code}, {moved if 300 <= code < 400 else advice.get(code, 'not expected')}{said}"
    )


def _said(content: bytes) -> str:
    """The API's own words in parentheses: message, errors of fields, correlation id."""
    try:
        answer = json.loads(content)
    except ValueError:
        return ""
    if not isinstance(answer, dict):
        return ""
    words = [str(answer[key]) for key in ("message", "error") if answer.get(key)]
    errors = answer.get("errors")
    if isinstance(errors, dict):
        words += [
            str(line) for found in errors.values() for line in (found if isinstance(found, list) else [found])
        ]
    if answer.get("correlation_id"):
        words.append(f"correlation id {answer['correlation_id']}")
    return f" ({' '.join('; '.join(dict.fromkeys(words)).split())})" if words else ""


def _seconds(value: str | None) -> float | None:
    """Retry-After: seconds or a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _no_answer(what: str, reason: object) -> Problem:
    """The line for a request without an answer."""
    if isinstance(reason, socket.gaierror):
        return Transient(f"{what}: the name cannot be resolved: check the host's resolver and itqan:dns.api")
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Problem(
            f"{what}: its certificate is not trusted ({reason.verify_message}): "
            "do not go on before you know why"
        )
    if isinstance(reason, TimeoutError):
        return Transient(
            f"{what}: no answer within {TIMEOUT:g} s: check the host's way out, then run this again"
        )
    return Transient(
        f"{what}: {reason or type(reason).__name__}: check the host's way out, then run this again"
    )


# -- names and contents


def relative(name: str, zone: str) -> str:
    """A full name as the API writes it: `@` for the zone itself, else without the zone.

    Raises Problem for a name of another zone.
    """
    if name == zone:
        return "@"
    if not name.endswith(f".{zone}"):
        raise Problem(f"{name} is not in the zone {zone}: correct itqan:dns.zone")
    return name.removesuffix(f".{zone}")


def plain(content: str, kind: str) -> str:
    """A record's content to compare: addresses in their shortest form, TXT without quotes."""
    if kind == "TXT":
        return "".join(content.split('"')[1::2]) if content.startswith('"') else content
    try:
        return str(ipaddress.ip_address(content))
    except ValueError:
        return content


def parse(lines: Iterable[str]) -> dict[Key, set[str]]:
    """`name type address` a line, as the address records of their names.

    The other type of a name has none: a forgotten AAAA would lead a part of the world elsewhere.
    Raises Problem for another line.
    """
    wanted: dict[Key, set[str]] = {}
    for line in filter(None, map(str.strip, lines)):
        try:
            name, kind, address = line.split()
            version = {4: "A", 6: "AAAA"}[ipaddress.ip_address(address).version]
        except ValueError:
            raise Problem(f"{line!r}: not `name type address`") from None
        if kind != version:
            raise Problem(f"{line!r}: {address} is no content of a record {kind}")
        for other in ADDRESS_TYPES:
            wanted.setdefault((name, other), set())
        wanted[name, kind].add(plain(address, kind))
    return wanted


# -- the name servers


def dig(*words: str) -> list[str] | None:
    """Lines of a short answer; None where nothing answers."""
    command = ["dig", "+short", "+time=3", "+tries=2", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except subprocess.TimeoutExpired:
        return None
    except FileNotFoundError:
        raise Problem("dig is missing: install bind9-dnsutils") from None
    if done.returncode:
        return None
    return [line for line in done.stdout.splitlines() if line and not line.startswith(";")]


def name_servers(settings: Settings) -> list[str]:
    """The zone's own name servers. Raises Problem when none is known."""
    asked = [f"@{settings.server}"] if settings.server else []
    found = dig(*asked, settings.zone, "NS")
    if not found:
        whom = settings.server or "the host's resolver"
        raise Problem(
            f"{whom} knows no name server of {settings.zone}: is the domain registered and delegated?"
        )
    return sorted(found)


def lacking(servers: Iterable[str], wanted: Mapping[Key, set[str]], *, exact: bool) -> list[str]:
    """Where the answers are not as wanted, one phrase for each name server and record set.

    Arguments: `exact`, nothing else may be answered.
    """
    found = []
    for server in servers:
        for (name, kind), contents in wanted.items():
            lines = dig(f"@{server}", name, kind)
            seen = {plain(line, kind) for line in lines or ()}
            if lines is None:
                found.append(f"{server} does not answer")
                break
            if (seen != contents) if exact else not contents <= seen:
                found.append(f"{server} has {name} {kind} {' '.join(sorted(seen)) or 'absent'}")
    return found


def await_records(settings: Settings, wanted: Mapping[Key, set[str]], *, exact: bool) -> None:
    """Until every name server of the zone answers as wanted. Raises Problem when the time is over."""
    deadline = time.monotonic() + settings.wait
    servers = name_servers(settings)
    while missing := lacking(servers, wanted, exact=exact):
        if time.monotonic() >= deadline:
            raise Problem(
                f"not at every name server of {settings.zone} after {settings.wait} s (itqan:dns.wait): "
                f"{'; '.join(missing)}; run this again when they answer"
            )
        time.sleep(POLL)


# -- what the words do


def records(settings: Settings, lines: Iterable[str]) -> None:
    """The address records, entered where they differ, then seen by the world. Raises Problem."""
    wanted = parse(lines)
    if settings.provider == "hostinger":
        enter_records(settings, wanted)
    else:
        tell_records(settings, wanted)
    await_records(settings, wanted, exact=True)


def enter_records(settings: Settings, wanted: Mapping[Key, set[str]]) -> None:
    """Replaces exactly the record sets that differ; every other one is left alone. Raises Problem."""
    api = Hostinger(settings)
    keys = {(relative(name, settings.zone), kind): contents for (name, kind), contents in wanted.items()}
    zone = {(str(entry.get("name")), str(entry.get("type"))): entry for entry in api.zone()}
    for name, kind in zone:
        if kind in ("CNAME", "ALIAS") and (name, "A") in keys:
            raise Problem(
                f"the zone {settings.zone} has {kind} {name}, beside which no address record can stand: "
                "remove it in hPanel (Domains, DNS), then run this again"
            )
    updates = [
        {
            "name": name,
            "type": kind,
            "ttl": settings.ttl,
            "records": [{"content": c} for c in sorted(contents)],
        }
        for (name, kind), contents in keys.items()
        if contents and not _same(zone.get((name, kind)), contents, settings.ttl, kind)
    ]
    surplus = [key for key, contents in keys.items() if not contents and key in zone]
    if updates:
        api.update(updates, overwrite=True)
    if surplus:
        api.delete(surplus)


def _same(entry: Mapping[str, Any] | None, contents: set[str], ttl: int, kind: str) -> bool:
    if entry is None or entry.get("ttl") != ttl or any(r.get("is_disabled") for r in entry["records"]):
        return False
    return {plain(r["content"], kind) for r in entry["records"]} == contents


def tell_records(settings: Settings, wanted: Mapping[Key, set[str]]) -> None:
    """What a person has to enter, as far as the name servers do not have it. Raises Problem."""
    servers = name_servers(settings)
    ask(
        f"enter these records where the zone {settings.zone} is kept; its name servers are asked for "
        f"{settings.wait} s:"
    )
    for (name, kind), contents in sorted(wanted.items()):
        if lacking(servers, {(name, kind): contents}, exact=True):
            lines = [f"{name} {settings.ttl} {kind} {content}" for content in sorted(contents)]
            for line in lines or [f"{name} {kind}: none, remove it"]:
                ask(line)


def challenge(environment: Mapping[str, str], settings: Settings) -> tuple[str, str]:
    """Name and value of the TXT record that certbot asks for. Raises Problem."""
    try:
        domain, value = environment["CERTBOT_DOMAIN"], environment["CERTBOT_VALIDATION"]
    except KeyError as error:
        raise Problem(f"{error.args[0]} is not set: this is a hook of certbot") from None
    name = f"_acme-challenge.{domain.removeprefix('*.')}"
    relative(name, settings.zone)
    return name, value


def present(settings: Settings, name: str, value: str) -> None:
    """One more TXT value beside those of its name; every name server then has it. Raises Problem."""
    if settings.provider == "hostinger":
        api, short = Hostinger(settings), relative(name, settings.zone)
        if value not in _values(api, short):
            entry = {"name": short, "type": "TXT", "ttl": settings.ttl, "records": [{"content": value}]}
            api.update([entry], overwrite=False, done=lambda: value in _values(api, short))
    else:
        tell_challenge(
            f"enter beside what is there, within {settings.wait} s: {name} {settings.ttl} TXT {value}"
        )
    await_records(settings, {(name, "TXT"): {value}}, exact=False)


def withdraw(settings: Settings, name: str, value: str) -> None:
    """The value goes; others of its name stay as they are. Raises Problem."""
    if settings.provider != "hostinger":
        tell_challenge(f"no longer needed: {name} TXT {value}")
        return
    api, short = Hostinger(settings), relative(name, settings.zone)
    found = _values(api, short)
    if value not in found:
        return
    others = [{"content": content} for plain_value, content in found.items() if plain_value != value]
    if others:
        api.update([{"name": short, "type": "TXT", "ttl": settings.ttl, "records": others}], overwrite=True)
    else:
        api.delete([(short, "TXT")])


def _values(api: Hostinger, short: str) -> dict[str, str]:
    """The TXT values of a name, each with its content as the API writes it."""
    entries = [e for e in api.zone() if (e.get("name"), e.get("type")) == (short, "TXT")]
    return {plain(r["content"], "TXT"): r["content"] for entry in entries for r in entry["records"]}


def check(settings: Settings) -> None:
    """Whether the provider answers and the zone has name servers; changes nothing. Raises Problem."""
    if settings.provider == "hostinger":
        Hostinger(settings).zone()
    name_servers(settings)


def try_out(settings: Settings) -> None:
    """Whether the provider lets these settings see the zone. Raises Problem."""
    Hostinger(settings, tries=1).zone()


def tell_challenge(text: str) -> None:
    """To the file that the unit shows while certbot runs, and to certbot's log."""
    CHALLENGES.parent.mkdir(mode=0o700, exist_ok=True)
    with CHALLENGES.open("a") as file:
        file.write(f"{ASK}{text}\n")
    say(text)


def ask(text: str) -> None:
    """A line that somebody has to act on: `./itqan up` shows it at once."""
    print(f"{ASK}{text}", file=sys.stderr, flush=True)


def say(text: str) -> None:
    """A line for the person who reads."""
    print(f"itqan-dns: {text}", file=sys.stderr, flush=True)


def main(words: list[str]) -> int:
    """The exit status: 0, 1 with one line, 2 for wrong words."""
    if len(words) != 1 or words[0] not in ("records", "present", "withdraw", "check", "try"):
        say("usage: itqan-dns records|present|withdraw|check|try")
        return 2
    try:
        if words[0] == "try":
            try_out(Settings.parse(sys.stdin.read()))
            return 0
        settings = Settings.read(SETTINGS)
        if words[0] == "records":
            records(settings, sys.stdin)
        elif words[0] == "check":
            check(settings)
        else:
            name, value = challenge(os.environ, settings)
            (present if words[0] == "present" else withdraw)(settings, name, value)
    except Problem as problem:
        say(str(problem))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
