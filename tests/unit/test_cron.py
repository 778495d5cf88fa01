"""cron: the document's line, once, as the web user."""

from __future__ import annotations

from collections.abc import Callable

from components.cron import crontab
from components.unit import Unit, digest
from settings import Settings


def test_the_documents_line(prod: Settings) -> None:
    header, line, rest = crontab(prod).split("\n")
    assert header == "# managed by itqan, components/cron.py: changes here are drift"
    assert line == "* * * * * cd /var/www/itqan-platform && php artisan schedule:run >> /dev/null 2>&1"
    assert rest == ""


def test_once_for_the_web_user(prod: Settings, prod_units: dict[str, Unit]) -> None:
    unit = prod_units["cron/scheduler"]
    assert unit.expect.splitlines() == [
        f"crontab www-data {digest(crontab(prod))}",
        "crontabs run the scheduler 1 times",
    ]
    assert unit.apply.splitlines() == [
        "keep_one_scheduler www-data /var/www/itqan-platform",
        "install_crontab www-data",
    ]


def test_none_when_supervisor_runs_the_scheduler(
    stack: Callable[..., Settings], units_of: Callable[[Settings], dict[str, Unit]]
) -> None:
    unit = units_of(stack("prod", scheduler="supervisor"))["cron/scheduler"]
    assert unit.payload == ""
    assert unit.expect.splitlines() == ["crontab www-data absent", "crontabs run the scheduler 0 times"]
