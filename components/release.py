"""The release: checkout of a commit, dependencies, build, migrations, caches, permissions, .env."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from settings import SECRET_VARIABLES, Settings, SettingsError

from . import digests
from .part import Part
from .platform import Platform
from .redis import ACCOUNT
from .render import host_script, managed, render
from .sample import BRANCH, sample_repository
from .unit import Unit, call, file_line, file_unit, lines

TOOL = "/usr/local/sbin/itqan-release"
SAMPLE_REPOSITORY = "/srv/git/itqan-platform.git"
DEPLOY_KEY = "itqan_deploy"


def wanted_commit(settings: Settings) -> str:
    """The commit that the settings ask for, as 40 hexadecimal digits.

    A commit is taken as it is; a branch or a tag is looked up in the repository, from this machine.
    Raises SettingsError when the repository does not answer or has no such ref.
    """
    release = settings.release
    if re.fullmatch(r"[0-9a-f]{40}", release.ref):
        return release.ref
    if release.repository == "sample":
        if release.ref != BRANCH:
            raise SettingsError(
                [f"itqan:release.ref: {release.ref!r}: allowed: {BRANCH}, the sample's only branch"]
            )
        return sample_repository().commit
    return _ls_remote(settings)


def _ls_remote(settings: Settings) -> str:
    release = settings.release
    if not shutil.which("git"):
        raise _unreachable(settings, "git is missing on this machine")
    # whole names: git matches a short one by its end, so that `main` would find `feature/main` too
    names = [f"refs/heads/{release.ref}", f"refs/tags/{release.ref}^{{}}", f"refs/tags/{release.ref}"]
    with tempfile.TemporaryDirectory(prefix="itqan-") as folder:
        environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", **_git_ssh(settings, folder)}
        try:
            answer = subprocess.run(
                ["git", "ls-remote", "--", release.repository, *names],
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
                env=environment,
            )
        except subprocess.TimeoutExpired:
            raise _unreachable(settings, "no answer within 30 seconds") from None
    if answer.returncode:
        raise _unreachable(settings, (answer.stderr.strip().splitlines() or ["git failed"])[-1])
    found = {name: commit for commit, name in (line.split("\t") for line in answer.stdout.splitlines())}
    commit = next((found[name] for name in names if name in found), None)
    if commit is None:
        advice = "the repository has no such branch or tag; or give a full commit"
        raise SettingsError([f"itqan:release.ref: {release.ref!r}: {advice}"])
    return commit


def _git_ssh(settings: Settings, folder: str) -> dict[str, str]:
    """git over SSH with the deploy key and the pinned host keys of the settings, when there are any."""
    if settings.deploy_key is None:
        return {}
    key, hosts = f"{folder}/key", f"{folder}/known_hosts"
    Path(key).touch(mode=0o600)
    Path(key).write_text(settings.deploy_key.get_secret_value())
    Path(hosts).write_text("".join(f"{line}\n" for line in settings.release.known_hosts))
    return {"GIT_SSH_COMMAND": _ssh_command(key, hosts)}


def _ssh_command(key: str, hosts: str) -> str:
    options = (
        "IdentitiesOnly=yes",
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={hosts}",
    )
    return " ".join([f"ssh -i {key}", *(f"-o {option}" for option in options)])


def _unreachable(settings: Settings, reason: str) -> SettingsError:
    repository = settings.release.repository
    advice = "check the URL and the key, or give itqan:release.ref as a full commit"
    return SettingsError([f"itqan:release.repository: {repository}: {reason}; {advice}"])


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
    return {**settings.environment, **present, **further}


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
        file_unit("release/settings", "/etc/itqan/release.conf", _conf(settings, platform), mode="644"),
        *([_origin()] if sample else []),
        *([_deploy_key(settings)] if settings.deploy_key else []),
        _checkout(settings),
        _dotenv(settings),
        _code(settings, platform, commit),
        _permissions(settings),
    ]


def _conf(settings: Settings, platform: Platform) -> str:
    """What itqan-release reads: assignments of bash."""
    application, writable = settings.permissions.application, settings.permissions.writable
    home = f"/home/{settings.server.deploy_user}"
    values = {
        "ROOT": settings.application.path,
        "DEPLOY_USER": settings.server.deploy_user,
        "WEB_USER": settings.server.web_user,
        "PHP": f"php{settings.php.version}",
        "REPOSITORY": SAMPLE_REPOSITORY
        if settings.release.repository == "sample"
        else settings.release.repository,
        "SSH_COMMAND": _ssh_command(f"{home}/.ssh/{DEPLOY_KEY}", f"{home}/.ssh/{DEPLOY_KEY}_known_hosts")
        if settings.deploy_key
        else "ssh -o BatchMode=yes",
        "COMPOSER_FILE": platform.composer_file or "composer.json",
        "APPLICATION_OWNER": application.owner,
        "APPLICATION_MODE": application.mode,
        "WRITABLE_OWNER": writable.owner,
        "WRITABLE_MODE": writable.mode,
        "WRITABLE_PATHS": " ".join(writable.paths),
    }
    assignments = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
    return f"# {managed('components/release.py')}\n{assignments}"


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


def _deploy_key(settings: Settings) -> Unit:
    """The key that reads the repository, and the pinned keys of its host."""
    assert settings.deploy_key is not None
    user = settings.server.deploy_user
    hosts = "".join(f"{line}\n" for line in settings.release.known_hosts)
    path = f"/home/{user}/.ssh/{DEPLOY_KEY}"
    return file_unit(
        "release/deploy-key",
        path,
        settings.deploy_key.get_secret_value(),
        owner=f"{user}:{user}",
        mode="600",
        key=digests.key(settings),
        then=f"{call('place', f'{path}_known_hosts', f'{user}:{user}', '644')} <<'END'\n{hosts}END",
        probe=call("probe_file", f"{path}_known_hosts"),
        expect=file_line(f"{path}_known_hosts", f"{user}:{user}", "644", hosts),
    )


def _checkout(settings: Settings) -> Unit:
    """The repository is there, its origin is the configured one, and modes do not count as changes."""
    root = settings.application.path
    origin = SAMPLE_REPOSITORY if settings.release.repository == "sample" else settings.release.repository
    return Unit(
        name="release/checkout",
        probe=call("probe_checkout", root),
        expect=f"checkout {root} origin {origin}\ncheckout {root} fileMode false",
        apply=call(TOOL, "clone"),
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


class Release(Part):
    """The application at the wanted commit."""

    part = "release"
