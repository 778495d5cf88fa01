"""Sections "Nginx config changes" and "SSL Certificate Renewal"."""

from __future__ import annotations

from functools import partial

from settings import Settings

from ..health import Check, Seen, Verdict, site
from ..health.model import FAILED, runbook
from ..platform import Platform
from .host import GROUP, STOPPED, is_bad, look, resume, stopped, symptom
from .model import Runbook, Step, Symptom

TEST = "fix/nginx"
# Lines of their own: under `set -e` a test that fails before `&&` would not end the step.
RELOAD = Step("sudo nginx -t && sudo systemctl reload nginx", cure="nginx -t -q\nsystemctl reload nginx")


def nginx(settings: Settings, platform: Platform) -> Runbook:
    """A configuration that was broken by hand, and an nginx that is gone or hangs."""
    alive = symptom("nginx", settings, platform, explains=True)
    halted = stopped("nginx's processes", "nginx: ")
    answers = Symptom(Check("port 443", GROUP, _answers), explains=True)
    return Runbook(
        name="nginx",
        section="Nginx config changes",
        symptoms=[
            alive,
            Symptom(Check("nginx -t", GROUP, _test), explains=True),
            halted,
            answers,
        ],
        units=["nginx/sites", "nginx/site", "nginx/service"],
        steps=[
            resume(halted, "nginx: "),
            # others' files first: with them the test of our own may fail
            Step("no other sites than the settings'", unit="nginx/sites", when=_has_certificate),
            Step("the site's file, tested, then reloaded", unit="nginx/site", when=_has_certificate),
            Step(
                "nginx runs, now and after a restart of the host", unit="nginx/service", when=_has_certificate
            ),
            Step(
                RELOAD.command,
                cure=RELOAD.cure,
                when=lambda seen: is_bad(answers, seen) and _has_certificate(seen),
            ),
            Step(
                "sudo nginx -t && sudo systemctl restart nginx",
                cure="nginx -t -q\nsystemctl restart nginx",
                when=lambda seen: (is_bad(answers, seen) or is_bad(alive, seen)) and _has_certificate(seen),
            ),
        ],
        looks=[look(TEST), look(STOPPED)],
        rests_on=("disk",),
        person=_nginx_person,
    )


def _test(seen: Seen) -> Verdict:
    words = seen.words(TEST, "test")
    if words[:1] == ["ok"]:
        return Verdict("good", "ok")
    return Verdict("bad", " ".join(words[1:]) or "failed")


def _answers(seen: Seen) -> Verdict:
    """A handshake of TLS, which is nginx's own work; whose certificate it shows is another matter."""
    answer = seen.answer(site.SERVED)
    if answer.startswith(FAILED):
        return Verdict("bad", answer.removeprefix(FAILED).strip() or "no answer")
    return Verdict("good", "TLS")


def _nginx_person(seen: Seen) -> list[str]:
    lines = ["sudo nginx -t", "sudo tail -n 20 /var/log/nginx/error.log; journalctl -u nginx -n 20"]
    if _is_absent(seen):
        return [f"there is no certificate: {runbook(seen, 'certificate')}", *lines]
    return [
        *lines,
        f"a file of no unit may be the cause; changed ones: ./itqan audit {seen.settings.stack}",
    ]


def _has_certificate(seen: Seen) -> bool:
    """Without one no step helps: nginx refuses the site's file."""
    return not _is_absent(seen)


def _is_absent(seen: Seen) -> bool:
    return ["certificate", "absent"] in seen.rows(site.CERTIFICATE)


def certificate(settings: Settings) -> Runbook:
    """A certificate that ends or has ended, or another one than on the disk is shown."""
    lineage = settings.certificate.lineage
    lasting = Symptom(
        Check("certificate", GROUP, site.certificate), frozenset({"bad", "warn"}), explains=True
    )
    shown = Symptom(Check("certificate as served", GROUP, site.served))
    renew = f"certbot renew --cert-name {lineage} --no-random-sleep-on-renew"
    return Runbook(
        name="certificate",
        section="SSL Certificate Renewal",
        symptoms=[lasting, shown],
        units=[
            *("certificates/credentials", "certificates/hook", "certificates/lineage"),
            *("certificates/root", "certificates/timer", "nginx/certificate"),
        ],
        steps=[
            Step("what certbot changes DNS with", unit="certificates/credentials"),
            Step("nginx is reloaded after each renewal", unit="certificates/hook"),
            Step(
                f"sudo {renew}",
                cure=f"{renew} -n >&2",
                when=lambda seen: is_bad(lasting, seen) and not _is_absent(seen),
                patience=3,
            ),
            Step("a certificate for these names, from this authority", unit="certificates/lineage"),
            Step("a certificate that leads to the right root", unit="certificates/root"),
            Step("nginx shows what is on the disk", unit="nginx/certificate"),
            Step(RELOAD.command, cure=RELOAD.cure, when=partial(is_bad, shown)),
            Step("certbot's timer renews twice a day", unit="certificates/timer"),
        ],
        rests_on=("disk",),
        person=lambda seen: [
            "sudo tail -n 50 /var/log/letsencrypt/letsencrypt.log",
            f"sudo certbot certificates; {runbook(seen, 'nginx')}",
        ],
    )
