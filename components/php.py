"""PHP: which version answers, the pool www, limits for FPM and for the command line."""

from __future__ import annotations

from settings import Settings

from .part import Part
from .platform import Platform
from .render import render
from .sandbox import sandbox_unit, writable_application
from .services import service_unit
from .unit import Unit, call, file_unit, lines

# Debian's service registers its socket as an alternative when it starts (php-fpm-socket-helper).
SOCKET_LINK = "ReadWritePaths=-/etc/alternatives"


def units(settings: Settings, platform: Platform) -> list[Unit]:
    """Section "PHP-FPM Configuration" of the document."""
    service = _service(settings)
    made = [_command(settings), _cli_limits(settings), *_fpm(settings), service_unit("php/service", service)]
    if not settings.is_strict:
        return made
    return [*made, sandbox_unit("php/sandbox", service, SOCKET_LINK, *writable_application(settings))]


def _service(settings: Settings) -> str:
    return f"php{settings.php.version}-fpm"


def _command(settings: Settings) -> Unit:
    """`php` is the documented version, also where others are installed beside it."""
    target = f"/usr/bin/php{settings.php.version}"
    return Unit(
        name="php/command",
        probe=call("probe_link", "/etc/alternatives/php"),
        expect=f"link /etc/alternatives/php -> {target}",
        apply=call("update-alternatives", "--set", "php", target),
    )


def _limits_path(settings: Settings, api: str) -> str:
    return f"/etc/php/{settings.php.version}/{api}/conf.d/90-itqan.ini"


def _cli_limits(settings: Settings) -> Unit:
    return file_unit(
        "php/cli-limits", _limits_path(settings, "cli"), render("php/limits.ini.j2", limits=settings.php.cli)
    )


def _fpm(settings: Settings) -> list[Unit]:
    """Pool and limits; php-fpm tests them before they stay, a reload loses no request.

    The pool first: from then on FPM itself lets requests end before it reads its files again.
    """
    version, folder = settings.php.version, f"/etc/php/{settings.php.version}/fpm/pool.d"
    limits = _fpm_file(
        settings,
        "php/fpm-limits",
        _limits_path(settings, "fpm"),
        render("php/limits.ini.j2", limits=settings.php.fpm),
    )
    pool = _fpm_file(
        settings,
        "php/pool",
        f"{folder}/www.conf",
        render("php/www.conf.j2", pool=settings.php.pool, version=version, user=settings.server.web_user),
    )
    pools = Unit(
        name="php/pools",
        probe=call("probe_entries", folder, "*.conf"),
        expect=f"entries {folder} www.conf",
        apply=lines(
            call("keep_only", folder, "*.conf", "www.conf"), call("systemctl", "reload", _service(settings))
        ),
    )
    return [pool, limits, pools]


def _fpm_file(settings: Settings, name: str, path: str, content: str) -> Unit:
    """A file of FPM's configuration, in force only when the pool's processes are younger than it."""
    service = _service(settings)
    loaded = (service, "php-fpm: pool www", path)
    return file_unit(
        name,
        path,
        content,
        test=(f"php-fpm{settings.php.version}", "-t"),
        before=call("note_patience", f"php-fpm{settings.php.version}", service, path),
        then=call("reload_fpm", settings.php.version, *loaded),
        probe=lines(call("probe_reloaded", service, path), "probe_second_fpm"),
        removable=False,
        expect=f"loaded {service} current\nsecond FPM none",
    )


class Php(Part):
    """PHP for the command line and for FPM."""

    part = "php"
