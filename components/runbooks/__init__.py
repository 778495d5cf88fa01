"""Runbooks: the document's section "Troubleshooting", and what else can fall at night, as data."""

from __future__ import annotations

from collections.abc import Mapping

from settings import Settings

from ..platform import Platform
from ..unit import Unit
from . import application, disk, services, site, stores
from .model import Diagnosis, Finding, Runbook, Step, Symptom, diagnosis, plan

__all__ = ["Diagnosis", "Finding", "Runbook", "Step", "Symptom", "diagnosis", "looks", "plan", "runbooks"]


def runbooks(settings: Settings, platform: Platform, *, retry: bool = False) -> dict[str, Runbook]:
    """Every runbook of a stack by its name.

    Arguments: `retry`, whether jobs that failed for good are to be tried again.
    """
    made = [
        application.errors(settings, platform),
        services.queue(settings, platform, retry=retry),
        services.websocket(settings, platform),
        application.permissions(settings),
        site.nginx(settings, platform),
        services.php(settings, platform),
        site.certificate(settings),
        stores.database(settings, platform),
        stores.redis(settings, platform),
        disk.disk(settings),
    ]
    return {book.name: book for book in made}


def looks(books: Mapping[str, Runbook], name: str) -> list[Unit]:
    """What the host is asked for a runbook and for what it rests on."""
    asked = [unit for other in (name, *books[name].rests_on) for unit in books[other].looks]
    return list({unit.name: unit for unit in asked}.values())
