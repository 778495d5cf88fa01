"""The release: checkout of a commit, dependencies, build, migrations, caches, permissions, .env."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace

from settings import SECRET_VARIABLES, Settings

from . import access, catcher, deployment, digests
from .part import Part
from .platform import Platform
from .redis import ACCOUNT
from .render import host_script, managed, render
from .sample import BRANCH, sample_repository
from .supervisor import programs
from .unit import Unit, call, file_unit, lines

TOOL = "/usr/local/sbin/itqan-release"
SESSION = "/usr/local/sbin/itqan-session"  # what `./itqan shell` and its like start
LOG = "/var/log/itqan/releases.jsonl"  # a line of JSON for each release
ASKED = "/run/itqan-release-asked"  # the word of the newest release that was made with options
SAMPLE_REPOSITORY = "/srv/git/itqan-platform.git"
# Where a copy has the repository that is a folder of its Docker host.
MOUNTED_REPOSITORY = "/srv/git/release.git"


def environment(settings: Settings) -> dict[str, str]:
    """The variables of .env, in the document's order where it gives one."""
    secret = {variable: _plain(settings, name) for variable, name in SECRET_VARIABLES.items()}
    database, redis = settings.database, settings.redis
    secret["APP_PREVIOUS_KEYS"] = settings.readable_app_keys
    redis_password = secret.pop("REDIS_PASSWORD")
    derived = {
        "APP_KEY": secret.pop("APP_KEY"),
        "APP_PREVIOUS_KEYS": secret.pop("APP_PREVIOUS_KEYS"),
        "APP_URL": settings.url,
        "APP_DOMAIN": settings.domain,
        "DB_CONNECTION": "mysql",
        "DB_HOST": str(database.host),
        "DB_PORT": str(database.port),
        "DB_DATABASE": database.name,
        "DB_USERNAME": database.user,
        "DB_PASSWORD": secret.pop("DB_PASSWORD"),
        "REDIS_HOST": str(redis.host),
        "REDIS_PORT": str(redis.port),
        # with a name, AUTH is no error while Redis asks nobody for a password: a password can be introduced
        "REDIS_USERNAME": ACCOUNT if redis_password else None,
        "REDIS_PASSWORD": redis_password,
        "REVERB_HOST": settings.domain,
        **_browser_port(settings),
        **secret,
    }
    further = {name: value.get_secret_value() for name, value in settings.environment_secrets.items()}
    present = {name: value for name, value in derived.items() if value is not None}
    variables = {**settings.environment, **present, **further}
    return variables | catcher.environment(variables) if settings.target == "docker" else variables


def _browser_port(settings: Settings) -> dict[str, str]:
    """Behind an edge, browsers reach Reverb at another port than the application does (REVERB_PORT).

    Vite puts variables with its prefix into what browsers get; Laravel's own name is this one.
    """
    return {"VITE_REVERB_PORT": str(settings.edge_port)} if settings.edge else {}


def _plain(settings: Settings, name: str) -> str | None:
    """A secret by its name in the configuration."""
    value = settings.secret(name)
    return None if value is None else value.get_secret_value()


def dotenv(settings: Settings) -> str:
    """The text of .env; values as vlucas/phpdotenv reads them."""
    variables = {name: _quoted(value) for name, value in environment(settings).items()}
    return render("release/env.j2", variables=variables)


def _quoted(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_./:@+=,-]*", value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("\n", "\\n")
    return f'"{escaped}"'


def units(settings: Settings, platform: Platform, commit: str) -> list[Unit]:
    """Sections "Deployment Procedures", "Environment Configuration", "File Permissions" of the document."""
    sample = settings.release.repository == "sample"
    return [
        file_unit("release/tool", TOOL, host_script("release/release.sh"), mode="755"),
        file_unit("release/session", SESSION, host_script("session/session.sh"), mode="755"),
        file_unit("release/settings", "/etc/itqan/release.conf", _conf(settings, platform), mode="644"),
        *([_origin()] if sample else []),
        *access.units(settings),
        _checkout(settings),
        _layout(settings),
        _dotenv(settings),
        _code(settings, platform, commit),
        *deployment.units(settings),
        _permissions(settings),
        *([_seeds()] if _is_seeded(settings) else []),
    ]


def _conf(settings: Settings, platform: Platform) -> str:
    """What itqan-release reads: assignments of bash."""
    application, writable = settings.permissions.application, settings.permissions.writable
    values = {
        **({"SEEDS": "yes"} if _is_seeded(settings) else {}),
        "DATABASE": settings.database.name,
        "DOMAIN": settings.domain,
        "BACKUPS": settings.application.backups,
        "KEEP_BACKUPS": str(settings.release.keep_backups),
        "KEEP_RELEASES": str(settings.release.keep_releases),
        "PROGRAMS": " ".join(program.name for program in programs(settings)),
        "ROOT": settings.application.path,
        "DEPLOY_USER": settings.server.deploy_user,
        "WEB_USER": settings.server.web_user,
        "PHP": f"php{settings.php.version}",
        "REPOSITORY": _origin_of(settings),
        **access.variables(settings),
        "COMPOSER_FILE": platform.composer_file or "composer.json",
        "APPLICATION_OWNER": application.owner,
        "APPLICATION_MODE": application.mode,
        "WRITABLE_OWNER": writable.owner,
        "WRITABLE_MODE": writable.mode,
        "WRITABLE_PATHS": " ".join(writable.paths),
    }
    assignments = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
    return f"# {managed('components/release.py')}\n{assignments}"


def _origin_of(settings: Settings) -> str:
    """The repository as the host reaches it."""
    if settings.release.repository == "sample":
        return SAMPLE_REPOSITORY
    return MOUNTED_REPOSITORY if settings.mounted_repository else settings.release.repository


def _origin() -> Unit:
    """The sample's repository, on the copy itself: the payload is the input of git fast-import."""
    sample = sample_repository()
    return Unit(
        name="release/origin",
        probe=call("probe_ref", SAMPLE_REPOSITORY, BRANCH),
        expect=f"ref {SAMPLE_REPOSITORY} {BRANCH} {sample.commit}",
        apply=call(TOOL, "import", SAMPLE_REPOSITORY, BRANCH),
        payload=sample.stream,
    )


def _checkout(settings: Settings) -> Unit:
    """The repository is there, its origin is the configured one, and modes do not count as changes."""
    root = settings.application.path
    probe, expect = access.checkout_lines(settings)
    return Unit(
        name="release/checkout",
        probe=lines(call("probe_checkout", root), probe),
        expect=lines(
            f"checkout {root} origin {_origin_of(settings)}", f"checkout {root} fileMode false", expect
        ),
        apply=call(TOOL, "clone"),
    )


def _layout(settings: Settings) -> Unit:
    """The application's path is a folder that releases change, or a link to the release that runs."""
    root, strategy = settings.application.path, settings.release.strategy
    return Unit(
        name="release/layout",
        probe=call("probe_layout", root, *settings.shared_paths),
        expect=f"layout {strategy}",
        apply=call(TOOL, "layout", strategy),
    )


def _dotenv(settings: Settings) -> Unit:
    """.env, and the cached configuration that PHP really reads."""
    row, root = settings.environment_mode, settings.application.path
    return file_unit(
        "release/env",
        f"{root}/.env",
        dotenv(settings),
        owner=row.owner,
        mode=row.mode,
        key=digests.key(settings),
        removable=False,
        before=lines(
            call("refuse_unknown_variables", f"{root}/.env", *environment(settings)),
            call("note_variables", f"{root}/.env", TOOL),
        ),
        then=call("cache_variables", f"{root}/.env", TOOL),
        probe=call("probe_cached", root),
        expect="environment cached",
    )


def _code(settings: Settings, platform: Platform, commit: str) -> Unit:
    """The nine steps of the document's deploy.sh, for this commit."""
    root = settings.application.path
    return Unit(
        name="release/code",
        probe=call("probe_release", root, platform.composer_file or "composer.json"),
        expect=lines(
            f"commit {commit}",
            "changes none",
            "vendor current",
            "build current",
            "caches config routes views",
            "maintenance off",
        ),
        apply=call(TOOL, "deploy", settings.release.ref, commit),
    )


def _permissions(settings: Settings) -> Unit:
    """The table "File Permissions": everything but what runs create under the writable folders."""
    root, rows = settings.application.path, settings.permissions
    arguments = (root, rows.application.owner, rows.application.mode, rows.writable.owner, rows.writable.mode)
    return Unit(
        name="release/permissions",
        probe=call("probe_permissions", *arguments, *rows.writable.paths),
        expect="permissions as in the table",
        apply=call(TOOL, "permissions"),
    )


def _is_seeded(settings: Settings) -> bool:
    """Whether new databases of this stack get the application's seeds: a server's never does."""
    return settings.target == "docker" and settings.staging.seed


def _seeds() -> Unit:
    """The application's seeds in a copy's database, once, after its first migrations (release.sh).

    The release sees to it itself; what it owes after it was killed in between is paid here.
    """
    return Unit(
        name="release/seeds",
        probe="probe_seeds",
        expect="seeds none due",
        apply=call(TOOL, "seed"),
    )


def with_options(code: Unit, options: Sequence[str], word: str) -> Unit:
    """The unit of the code, brought by one release with options of itqan-release; it ends the same.

    With options a release is made even where the host is as expected: that is what they ask for.
    Arguments: `word`, one that no other release had.
    """
    if not options:
        return code
    return replace(
        code,
        probe=lines(code.probe, f"cat {ASKED} 2>/dev/null"),
        expect=lines(code.expect, word),
        apply=lines(f"{code.apply} {shlex.join(options)}", f"echo {word} >{ASKED}"),
    )


def log_unit() -> Unit:
    """The log of releases, as an observation takes it; looked at only."""
    return Unit("release/log", probe=call("probe_releases", LOG), expect="", apply="")


class Release(Part):
    """The application at the wanted commit."""

    part = "release"
