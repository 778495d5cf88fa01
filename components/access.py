"""How the repository of the release is read: a key or a token, and git servers that are known before."""

from __future__ import annotations

from settings import Settings, address_of

from . import digests
from .unit import Unit, call, file_line, file_unit, lines

# The key of the settings, and the one that a host makes for itself; both in the deploy user's ~/.ssh.
DEPLOY_KEY, OWN_KEY = "itqan_deploy", "itqan_own"
OWN_KEY_UNIT = "release/own-key"
TOKEN_FILE = "/etc/itqan/repository.token"


def makes_own_key(settings: Settings) -> bool:
    """Whether the host makes the key that reads the repository."""
    return settings.deploy_key is None and address_of(settings.release.repository).way == "ssh"


def has_token(settings: Settings) -> bool:
    """Whether the repository is read with a token."""
    return settings.repository_token is not None


def ssh_command(key: str | None, hosts: str) -> str:
    """What git runs as ssh.

    Arguments: `key`, the file of the private key; None: whoever runs it has one. `hosts`, the file of the
    known hosts: no other one is accepted.
    """
    options = (
        *(["IdentitiesOnly=yes"] if key else []),
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={hosts}",
    )
    return " ".join(["ssh", *([f"-i {key}"] if key else []), *(f"-o {option}" for option in options)])


def credential_settings(origin: str, file: str) -> dict[str, str]:
    """git's settings (gitcredentials(7)) by which it reads a token from a file, for one server.

    First no other helper, which would store the token in a place of its own; then one that answers and
    neither stores nor forgets anything.
    """
    answer = f'!answer() {{ if [ "$1" = get ]; then cat {file}; fi; }}; answer'
    return {"credential.helper": "", f"credential.{origin}.helper": answer}


def credential(settings: Settings) -> str:
    """The token as git reads it from a helper (git-credential(1), "INPUT/OUTPUT FORMAT")."""
    assert settings.repository_token is not None
    return (
        f"username={settings.release.token_user}\npassword={settings.repository_token.get_secret_value()}\n"
    )


def known_hosts(settings: Settings) -> str:
    """The pinned keys of the git server, as known_hosts has them."""
    return "".join(f"{line}\n" for line in settings.release.known_hosts)


def variables(settings: Settings) -> dict[str, str]:
    """What itqan-release reads of it, by name."""
    address = address_of(settings.release.repository)
    path = f"{_ssh(settings)}/{OWN_KEY if makes_own_key(settings) else DEPLOY_KEY}"
    has_key = settings.deploy_key is not None or makes_own_key(settings)
    made = {"SSH_COMMAND": ssh_command(path, f"{path}_known_hosts") if has_key else "ssh -o BatchMode=yes"}
    if makes_own_key(settings):
        made["OWN_KEY"] = path
        made["OWN_KEY_COMMENT"] = f"itqan-{settings.stack}@{settings.server.hostname}"
        made["DEPLOY_KEYS"] = address.deploy_keys
    if has_token(settings):
        made["TOKEN_SETTINGS"] = "\n".join(
            f"{name} {value}" for name, value in credential_settings(address.origin, TOKEN_FILE).items()
        )
    return made


def units(settings: Settings) -> list[Unit]:
    """What the host has to have before it asks for the repository."""
    if has_token(settings):
        return [_token(settings)]
    if settings.deploy_key:
        return [_deploy_key(settings)]
    return [_own_key(settings)] if makes_own_key(settings) else []


def checkout_lines(settings: Settings) -> tuple[str, str]:
    """Probe and expected lines of what a `git pull` by hand needs in the checkout."""
    root, address = settings.application.path, address_of(settings.release.repository)
    wanted = {}
    if address.way == "ssh":
        wanted["core.sshCommand"] = variables(settings)["SSH_COMMAND"]
    if has_token(settings):
        wanted = credential_settings(address.origin, TOKEN_FILE)
    probe = call("probe_git_settings", root, *wanted) if wanted else ""
    return probe, lines(*(f"checkout {root} {name}={value}" for name, value in wanted.items()))


def _ssh(settings: Settings) -> str:
    return f"/home/{settings.server.deploy_user}/.ssh"


def _deploy_key(settings: Settings) -> Unit:
    """The key that reads the repository, and the pinned keys of its host."""
    assert settings.deploy_key is not None
    user, path = settings.server.deploy_user, f"{_ssh(settings)}/{DEPLOY_KEY}"
    return file_unit(
        "release/deploy-key",
        path,
        settings.deploy_key.get_secret_value(),
        owner=f"{user}:{user}",
        mode="600",
        key=digests.key(settings),
        then=_place_hosts(settings, path),
        probe=call("probe_file", f"{path}_known_hosts"),
        expect=_hosts_line(settings, path),
    )


def _own_key(settings: Settings) -> Unit:
    """A key that the host makes and never gives away; it stays when the unit goes."""
    user, path = settings.server.deploy_user, f"{_ssh(settings)}/{OWN_KEY}"
    return Unit(
        name=OWN_KEY_UNIT,
        probe=lines(call("probe_key", path), call("probe_file", f"{path}_known_hosts")),
        expect=lines(f"key {path} {user}:{user} 600 whole", _hosts_line(settings, path)),
        apply=lines("/usr/local/sbin/itqan-release key", _place_hosts(settings, path)),
        output=call("cat", f"{path}.pub"),
    )


def _token(settings: Settings) -> Unit:
    user = settings.server.deploy_user
    return file_unit(
        "release/token",
        TOKEN_FILE,
        credential(settings),
        owner=f"{user}:{user}",
        mode="600",
        key=digests.key(settings),
    )


def _place_hosts(settings: Settings, path: str) -> str:
    user = settings.server.deploy_user
    place = call("place", f"{path}_known_hosts", f"{user}:{user}", "644")
    return f"{place} <<'END'\n{known_hosts(settings)}END"


def _hosts_line(settings: Settings, path: str) -> str:
    user = settings.server.deploy_user
    return file_line(f"{path}_known_hosts", f"{user}:{user}", "644", known_hosts(settings))
