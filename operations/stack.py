"""A stack made ready to run: state and secrets, and for a copy Docker, base image and network."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .authority import shared_authority
from .daemon import Daemon
from .engine import Engine
from .errors import ConfigurationError
from .interrupted import recover
from .machine import ready_engine
from .paths import ROOT, file_options, own_file, stack_file
from .stamp import Stamp
from .steps import Steps

if TYPE_CHECKING:
    from components.observation import Endpoint

# Stacks whose configuration is part of the project; any other one is a copy that extends STAGING.
PRODUCTION, STAGING = "prod", "staging"


@dataclass(frozen=True)
class Stack:
    """A stack that is ready to run, and the engine that runs it."""

    name: str
    engine: Engine
    target: str

    @property
    def is_copy(self) -> bool:
        """Whether the stack lives on this machine's Docker."""
        return self.target == "docker"


def ready_stack(name: str, steps: Steps) -> Stack:
    """Prepares the machine and the stack; only looks that nothing is missing when nothing has changed since.

    Raises PreparationError, ConfigurationError, DockerError or EngineError with what to do.
    """
    engine = ready_engine(steps)
    if may_be_branch(name):
        from .branches import branch_of, ready_branch

        if branch := branch_of(name, engine):
            return ready_branch(branch, engine, steps)
    facts = prepared_stamp(name).read()
    if not (facts and image_is_there(facts)):
        facts = _prepare(name, engine, steps)
        # Anew, because the preparation writes to the configuration.
        prepared_stamp(name).write(facts)
    recover(name, engine, steps)
    return Stack(name, engine, facts["target"])


def may_be_branch(name: str) -> bool:
    """Whether a stack's name is like that of a branch's copy, and no file of the project is that stack's."""
    return name.startswith(f"{STAGING}-") and not own_file(name).exists()


def forget_stack(name: str) -> None:
    """Lets the next run prepare the stack from the beginning."""
    prepared_stamp(name).remove()
    state_stamp(name).remove()


def state_stamp(name: str) -> Stamp:
    """The note that the stack's state exists in the backend that the environment or Pulumi.yaml names."""
    return Stamp(f"state-{name}", [ROOT / "Pulumi.yaml"])


def prepared_stamp(name: str) -> Stamp:
    """The note that a stack is prepared, valid for its configuration and our reading of it."""
    return Stamp(f"stack-{name}", [*ROOT.glob("Pulumi*.yaml"), *(ROOT / "settings").glob("*.py")])


@contextmanager
def staying_prepared(name: str) -> Iterator[None]:
    """A change of the configuration that the preparation does not depend on: the next run need not look."""
    facts = prepared_stamp(name).read()
    yield
    if facts:
        prepared_stamp(name).write(facts)


def image_is_there(facts: Mapping[str, str], daemon: Daemon | None = None) -> bool:
    """Whether Docker still has the image of a copy: one request.

    Arguments: `daemon`, another one than this machine's.
    """
    if facts["target"] != "docker":
        return True
    try:
        return (daemon or Daemon()).has_image(facts["image"])
    except OSError:
        return False


def _prepare(name: str, engine: Engine, steps: Steps) -> dict[str, str]:
    from settings import SettingsError, load, merged_config

    _make_file(name, steps)
    try:
        target = str(merged_config(_own_values(stack_file(name)), ROOT).get("target", ""))
        open_state(name, engine, steps)
        image = prepare_copy(name, engine, steps) if target == "docker" else ""
        values = own_configuration(name, engine)
        if target == "docker" and _make_secrets(name, engine, steps, values):
            values = own_configuration(name, engine)
        settings = load(name, values, ROOT)
    except SettingsError as error:
        raise unusable(name, error.problems) from None
    if settings.docker_host:
        raise ConfigurationError(
            f"itqan:staging.dockerHost: {settings.docker_host.address}: only ./itqan branch up puts a copy "
            f"on another Docker host; type: pulumi config rm --stack {name} --path itqan:staging.dockerHost"
        )
    if target == "docker":
        _find_subnet(name, engine, steps, settings)
    return {"target": target, "image": image}


def unusable(name: str, problems: Iterable[str]) -> ConfigurationError:
    """The error that lists what is wrong in a stack's configuration."""
    return ConfigurationError("\n  ".join([f"the configuration of stack {name} is not usable:", *problems]))


def _make_file(name: str, steps: Steps) -> None:
    """The configuration file of a further copy."""
    path = stack_file(name)
    if path.exists() or name in (PRODUCTION, STAGING):
        return
    steps.say(f"▸ Writing {path.name}: a copy like {STAGING}")
    path.write_text(f"config:\n  itqan:extends: {STAGING}\n")


def _own_values(file: Path) -> dict[str, Any]:
    """The plain values of a stack's own file."""
    from settings import stack_file_config

    return stack_file_config(file)


def open_state(name: str, engine: Engine, steps: Steps) -> None:
    """Makes the stack's state, unless it is known to be there."""
    stamp = state_stamp(name)
    if stamp.read() is not None:
        return
    with steps.step("stack", f"Opening the state of stack {name}"):
        engine.call("stack", "select", "--create", "--stack", name)
    stamp.write({})


def prepare_copy(
    name: str, engine: Engine, steps: Steps, file: Path | None = None, daemon: Daemon | None = None
) -> str:
    """Docker and the base image of a copy; notes in its configuration what was chosen. Returns the image.

    Arguments: `file`, another configuration file than the stack's own; `daemon`, another one than this
    machine's.
    """
    from .prepare.docker import ensure_docker
    from .prepare.image import choose_base, ensure_image

    daemon = daemon or ensure_docker(steps)
    own = _own_values(file or stack_file(name))
    image = (own.get("staging") or {}).get("image")
    if image:
        ensure_image(steps, daemon, image)
        return str(image)
    base = choose_base(steps, daemon, own.get("platform"))
    set_values(
        name,
        engine,
        {
            "platform": base.platform,
            "staging.image": base.image,
            "staging.registrarImage": base.registrar_image,
        },
        file,
    )
    return base.image


def set_values(name: str, engine: Engine, values: Mapping[str, str], file: Path | None = None) -> None:
    """Stores plain values in the stack's configuration; a dot in a key goes into an object.

    Arguments: `file`, another file than the stack's own.
    """
    pairs = [part for key, value in values.items() for part in ("--plaintext", f"itqan:{key}={value}")]
    options = ["--config-file", str(file)] if file else []
    engine.call("config", "set-all", *options, "--stack", name, "--path", *pairs)


def set_strings(name: str, engine: Engine, values: Mapping[str, str]) -> None:
    """Stores plain values that stay strings whatever they look like; `set-all` makes a number of `465`."""
    for key, value in values.items():
        options = ["--stack", name, "--path", "--type", "string", "--raw"]
        engine.call("config", "set", *options, f"itqan:{key}", stdin=value)


def own_configuration(name: str, engine: Engine) -> dict[str, object]:
    """The stack's own configuration, secrets decrypted, as the program will see it.

    Raises EngineError when the stack has no state yet.
    """
    found = json.loads(
        engine.call("config", "--json", "--show-secrets", *file_options(name), "--stack", name)
    )
    own = {key.removeprefix("itqan:"): entry for key, entry in found.items() if key.startswith("itqan:")}
    return {key: entry.get("objectValue", entry.get("value")) for key, entry in own.items()}


def merged_configuration(own: Mapping[str, object]) -> dict[str, Any]:
    """A stack's own configuration over that of its bases. Raises ConfigurationError."""
    from settings import SettingsError, merged_config

    try:
        return merged_config(own, ROOT)
    except SettingsError as error:
        raise ConfigurationError(str(error)) from None


def missing_settings(name: str, engine: Engine) -> list[str]:
    """What a stack's configuration still lacks, or has wrong, one line each."""
    from settings import SettingsError, load

    try:
        load(name, own_configuration(name, engine), ROOT)
    except SettingsError as error:
        return error.problems
    return []


def endpoint_of(merged: Mapping[str, Any]) -> Endpoint:
    """How a server is reached, of a merged configuration that may lack all else."""
    from components.observation import Endpoint

    connection = merged["connection"]
    return Endpoint(
        connection["host"],
        int(connection.get("port", 22)),
        connection.get("user", "deploy"),
        str(merged["sshPrivateKey"]),
        connection["hostKey"],
    )


def _make_secrets(name: str, engine: Engine, steps: Steps, values: Mapping[str, object]) -> bool:
    """Makes the secrets that a copy lacks, as encrypted configuration. Returns whether it made any."""
    from settings import AUTHORITY, SECRETS, merged_config, missing_secrets

    missing = [(secret, SECRETS[secret].generate) for secret in missing_secrets(merged_config(values, ROOT))]
    makeable = {secret: generate for secret, generate in missing if generate}
    if not makeable:
        return False
    shared = {}
    if AUTHORITY in makeable and name != STAGING:
        del makeable[AUTHORITY]
        shared = {AUTHORITY: shared_authority(STAGING, name, engine, steps)}
    text = f"Making {len(makeable)} secrets of the copy, encrypted in {stack_file(name).name}"
    with steps.step("secrets", text):
        made = {secret: generate() for secret, generate in makeable.items()}
        store_secrets(name, engine, {**made, **shared}, values)
    return True


def store_secrets(
    name: str, engine: Engine, secrets: Mapping[str, object], values: Mapping[str, object] | None = None
) -> None:
    """Stores secrets as encrypted configuration, beside those that are there; None takes one away.

    Arguments: `values`, the stack's own configuration where it was read already.
    """
    from settings import BUNDLE

    bundle = (own_configuration(name, engine) if values is None else values).get(BUNDLE)
    before: dict[str, object] = json.loads(bundle) if isinstance(bundle, str) else {}
    after = {key: value for key, value in {**before, **secrets}.items() if value is not None}
    # All in one value, as each call of the engine takes a third of a second; on standard input, as an
    # argument could be read by every user of this machine.
    together = json.dumps(after)
    options = ["--secret", "--raw", "--stack", name]
    engine.call("config", "set", *options, f"itqan:{BUNDLE}", stdin=together)


def bundle_secrets(name: str, engine: Engine, secrets: Iterable[str]) -> None:
    """Moves secrets that stand alone in the configuration into the one value that has the others.

    There several can be changed at once. At no moment does the configuration say anything else than before.
    """
    own = own_configuration(name, engine)
    alone = {secret: own[secret] or None for secret in secrets if secret in own}
    if alone:
        store_secrets(name, engine, alone, own)
    for secret in alone:
        engine.call("config", "rm", "--stack", name, f"itqan:{secret}")


def _find_subnet(name: str, engine: Engine, steps: Steps, settings: Any) -> None:
    """Sees to it that the copy's network overlaps no other one of Docker's."""
    from .subnets import free_subnet, taken_subnets

    taken = taken_subnets(Daemon(), name)
    clash = next((other for other in taken if other.overlaps(settings.subnet)), None)
    if not clash:
        return
    if settings.staging.subnet:
        raise ConfigurationError(
            f"itqan:staging.subnet: {settings.staging.subnet} overlaps Docker's network {clash}; type: "
            f"pulumi config set --stack {name} --path itqan:staging.subnet {free_subnet(taken)}"
        )
    chosen = free_subnet(taken)
    steps.say(f"▸ Using the network {chosen}: {settings.subnet} overlaps Docker's network {clash}")
    set_values(name, engine, {"staging.subnet": str(chosen)})
