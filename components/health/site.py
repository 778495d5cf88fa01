"""The site as visitors have it: certificate, names, the document's four key URLs."""

from __future__ import annotations

from functools import partial

from settings import Settings

from . import limits
from .model import FAILED, Check, Seen, State, Verdict, graded, runbook

CERTIFICATE, NAMES = "health/certificate", "health/names"
# Questions from outside, by name; those of DNS are `dns NAME`.
PAGE, TENANT, WEBSOCKET, LIVEKIT, SERVED = "page", "tenant", "websocket", "livekit", "served"
DAY = 86400
NO_LIVEKIT = "a copy has no LiveKit; itqan:dns.conference is an address for documentation"


def asked_names(settings: Settings, tenant: str) -> list[str]:
    """Apex, a tenant that nobody has, conference."""
    return [settings.domain, f"{tenant}.{settings.domain}", f"conference.{settings.domain}"]


def checks() -> list[Check]:
    """In the order of the table."""
    kinds = ("apex", "tenant", "conference")
    return [
        Check("certificate", "site", certificate),
        Check("certificate as served", "site", served),
        *(
            Check(f"{kind} from {where}", "names", partial(name, number, where))
            for number, kind in enumerate(kinds)
            for where in ("outside", "inside")
        ),
        Check("page", "key URLs", page),
        Check("tenant", "key URLs", tenant),
        Check("WebSocket", "key URLs", websocket),
        Check("LiveKit", "key URLs", livekit),
    ]


def certificate(seen: Seen) -> Verdict:
    """Days left of the certificate on the disk."""
    line = runbook(seen, "certificate")
    if ["certificate", "absent"] in seen.rows(CERTIFICATE):
        return Verdict("bad", f"no lineage {seen.settings.certificate.lineage}", "there", line)
    begin, end = seen.number(CERTIFICATE, "from"), seen.number(CERTIFICATE, "until")
    lifetime, left = end - begin, end - seen.ended
    warn = lifetime / limits.RENEWAL_PART - limits.RENEWAL_SLACK
    bad = lifetime / limits.CERTIFICATE_PART
    # of short ones the tenth can be the earlier of the two
    return Verdict(
        "bad" if left < 0 else graded(left, max(warn, bad), bad, falling=True),
        f"{left / DAY:.0f} of {lifetime / DAY:.0f} days left"
        if left >= 0
        else f"ended {-left / DAY:.0f} days ago",
        f"{max(warn, bad) / DAY:.0f}, {bad / DAY:.0f} days",
        line,
    )


def served(seen: Seen) -> Verdict:
    """Whether visitors get the certificate that is on the disk."""
    answer, line = seen.answer(SERVED), runbook(seen, "certificate")
    if answer.startswith(FAILED):
        return Verdict("bad", f"none: {_reason(answer)}", "that on the disk", runbook(seen, "nginx"))
    if [answer] == [word.upper() for word in seen.words(CERTIFICATE, "digest")]:
        return Verdict("good", f"that on the disk, {answer[:8].lower()}…", "that on the disk", line)
    return Verdict("bad", f"another one, {answer[:8].lower()}…", "that on the disk", line)


def _reason(answer: str) -> str:
    return answer.removeprefix(FAILED).strip() or "no answer"


def name(number: int, where: str, seen: Seen) -> Verdict:
    """Whether a name leads where the settings say."""
    asked = asked_names(seen.settings, seen.tenant)[number]
    inside = where == "inside"
    found = " ".join(seen.words(NAMES, "name", asked)) if inside else seen.answer(f"dns {asked}")
    line = f"dig {asked}" if inside else f"./itqan audit {seen.settings.stack}"
    limit = _wanted_words(seen.settings, number)
    if found.startswith(FAILED):
        return Verdict("bad", f"{asked}: {_reason(found)}", limit, line)
    state: State = "good" if _is_wanted(seen.settings, number, set(found.split())) else "bad"
    return Verdict(state, f"{asked}: {found or 'no address'}", limit, line)


def _own(settings: Settings) -> set[str]:
    return {str(address) for address in (settings.server_address, settings.server.ipv6) if address}


def _is_wanted(settings: Settings, number: int, found: set[str]) -> bool:
    if number < 2:
        return found == _own(settings)
    if settings.dns.conference == "external":
        return bool(found) and not found & _own(settings)
    return found == {str(settings.dns.conference)}


def _wanted_words(settings: Settings, number: int) -> str:
    if number < 2:
        return " ".join(sorted(_own(settings)))
    external = settings.dns.conference == "external"
    return "another server's" if external else str(settings.dns.conference)


def page(seen: Seen) -> Verdict:
    """The main application, with a valid chain."""
    return _page(seen, PAGE, 400, seen.settings.domain)


def tenant(seen: Seen) -> Verdict:
    """A tenant that nobody has: the application may know no page for it, and must not break over it."""
    return _page(seen, TENANT, 500, f"{seen.tenant}.{seen.settings.domain}")


def _page(seen: Seen, question: str, below: int, host: str) -> Verdict:
    answer = seen.answer(question)
    line = runbook(seen, "errors-500")
    limit = f"below {below}; {limits.PAGE_WARN:.1f}, {limits.PAGE_BAD:.1f} s"
    if answer.startswith(FAILED):
        return Verdict("bad", f"{host}: {_reason(answer)}", limit, runbook(seen, _silent(answer)))
    status, seconds = answer.split()
    state = graded(float(seconds), limits.PAGE_WARN, limits.PAGE_BAD) if int(status) < below else "bad"
    return Verdict(state, f"{host}: {status} in {float(seconds):.2f} s", limit, line)


def _silent(answer: str) -> str:
    """The runbook for a page that does not come: of who keeps it back."""
    if "certificate" in answer:
        return "certificate"
    return "php" if "no answer in time" in answer else "nginx"


def websocket(seen: Seen) -> Verdict:
    """A real handshake: Reverb answers `curl -I` on that path with 404."""
    answer = seen.answer(WEBSOCKET)
    line = runbook(seen, "websocket")
    found = _reason(answer) if answer.startswith(FAILED) else answer
    return Verdict("good" if answer == "101" else "bad", f"{seen.settings.domain}/app: {found}", "101", line)


def livekit(seen: Seen) -> Verdict:
    """TLS of the video server, which is another one."""
    if seen.settings.target == "docker":
        return Verdict("skipped", NO_LIVEKIT)
    answer, host = seen.answer(LIVEKIT), f"conference.{seen.settings.domain}"
    limit = f"TLS; {limits.FOREIGN_WARN}, {limits.FOREIGN_BAD} days"
    line = f"openssl s_client -connect {host}:443 -servername {host} </dev/null; LiveKit is on its own server"
    if answer.startswith(FAILED):
        return Verdict("bad", f"{host}: {_reason(answer)}", limit, line)
    version, until = answer.split()
    left = (float(until) - seen.ended) / DAY
    state = graded(left, limits.FOREIGN_WARN, limits.FOREIGN_BAD, falling=True)
    return Verdict(state, f"{host}: {version}, certificate {left:.0f} days", limit, line)
