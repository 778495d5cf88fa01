"""From Pulumi's configuration to Settings, or to one line for each mistake."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .branches import branch_problems, with_branch
from .model import Settings
from .parts import DockerHost, Staging
from .rules import NAMESPACE, at, broken_rules
from .secrets import BUNDLE, ROTATION, SECRETS, VARIABLES, missing_secrets


class SettingsError(Exception):
    """The configuration is wrong; nothing was touched. `problems` has one line for each mistake."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load(stack: str, config: Mapping[str, object], root: Path) -> Settings:
    """Settings of a stack.

    Arguments: `stack`, the stack's name; `config`, its configuration without the namespace, secrets
    decrypted, structured values as JSON text (as Pulumi hands them over) or as data; `root`, the folder of
    Pulumi.*.yaml.
    Raises SettingsError with every mistake, one line each: key path, value, what is allowed.
    """
    merged = _with_bases(_opened(config), root, seen=(stack,))
    merged.pop("extends", None)
    problems = branch_problems(merged, stack)
    if merged.get("branch") and not problems:
        merged = with_branch(merged, stack)
    missing = missing_secrets(merged)
    problems += [*broken_rules(merged), *_secret_lines(missing)]
    try:
        settings = Settings.model_validate({**merged, "stack": stack})
    except ValidationError as error:
        problems = _field_problems(error, missing) + problems
    if problems:
        raise SettingsError(problems)
    return settings


def docker_hosts(config: Mapping[str, Any]) -> list[DockerHost]:
    """The Docker hosts of a merged configuration. Raises SettingsError with a line for each mistake."""
    try:
        return Staging.model_validate({"docker": at(config, "staging.docker") or []}).docker
    except ValidationError as error:
        details = [ErrorDetails(**{**d, "loc": ("staging", *d["loc"])}) for d in error.errors()]
        raise SettingsError(list(dict.fromkeys(map(_line, details)))) from None


def problems_at(config: Mapping[str, Any], path: str) -> list[str]:
    """What is wrong with the value at a dotted path of a merged configuration, whatever else it lacks.

    Returns lines `value: what is allowed`, none when the value can stand.
    """
    try:
        Settings.model_validate({**config, "stack": "any"})
    except ValidationError as error:
        where = f"{NAMESPACE}:{path}: "
        lines = _field_problems(error, missing=[])
        return [line.removeprefix(where) for line in lines if line.startswith(where)]
    return []


def _field_problems(error: ValidationError, missing: list[str]) -> list[str]:
    """One line for each wrong value; a union's branches (`address or word`) give one line together.

    `missing` names the secrets that have a line of their own already.
    """
    lines = [_line(detail) for detail in error.errors() if not _is_missing_secret(detail, missing)]
    return list(dict.fromkeys(lines))


def _is_missing_secret(detail: ErrorDetails, missing: list[str]) -> bool:
    name = detail["loc"][0] if detail["loc"] else None
    return name in missing or (name in SECRETS and detail["type"] == "missing")


def merged_config(config: Mapping[str, object], root: Path) -> dict[str, Any]:
    """The configuration merged with the files it extends, not validated; secrets of those files left out.

    Raises SettingsError when a file it extends is missing, unreadable or part of a circle.
    """
    return _with_bases(_opened(config), root, seen=())


def _opened(config: Mapping[str, object]) -> dict[str, Any]:
    """Values as data, the bundle of secrets as single ones; a secret that stands alone wins."""
    values = {key: _structured(value) for key, value in config.items()}
    bundle = values.pop(BUNDLE, None)
    if not isinstance(bundle, dict):
        return values
    both = _merge(bundle.get(VARIABLES), values.get(VARIABLES)) or bundle.get(VARIABLES)
    return {**bundle, **values, **({VARIABLES: both} if both else {})}


def stack_file_config(path: Path) -> dict[str, Any]:
    """The plain values of a Pulumi.<stack>.yaml, without the namespace and without encrypted values."""
    try:
        document = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
    except FileNotFoundError:
        raise SettingsError([f"{NAMESPACE}:extends: {path.name} does not exist in {path.parent}"]) from None
    except yaml.YAMLError as error:
        raise SettingsError([f"{path.name}: not valid YAML: {' '.join(str(error).split())}"]) from None
    values = (document.get("config") or {}) if isinstance(document, dict) else document
    if not isinstance(values, dict):
        raise SettingsError([f"{path.name}: `config` is not a map of keys and values"])
    plain = {key: _without_secure(value) for key, value in values.items() if key.startswith(f"{NAMESPACE}:")}
    return {
        key.removeprefix(f"{NAMESPACE}:"): _structured(value)
        for key, value in plain.items()
        if value is not _SECURE
    }


_SECURE = object()

# How pydantic names the branch of a union in the path of an error.
UNION_BRANCHES = ("literal[", "lax-or-strict[", "function-", "bool")


def _without_secure(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"secure"}:
            return _SECURE
        return {k: kept for k, v in value.items() if (kept := _without_secure(v)) is not _SECURE}
    return value


def _structured(value: object) -> object:
    """Pulumi hands objects and lists over as JSON text, null as an empty one; the rest stays what it is."""
    if value == "":
        return None
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _with_bases(config: dict[str, Any], root: Path, seen: tuple[str, ...]) -> dict[str, Any]:
    base = config.get("extends")
    if not base:
        return {key: value for key, value in config.items() if value is not None}
    if base in seen:
        raise SettingsError([f"{NAMESPACE}:extends: {base}: the files extend each other in a circle"])
    if not isinstance(base, str) or not re.fullmatch(r"[A-Za-z0-9._-]+", base):
        raise SettingsError([f"{NAMESPACE}:extends: {base!r}: allowed: the name of a stack"])
    below = _with_bases(stack_file_config(root / f"Pulumi.{base}.yaml"), root, (*seen, base))
    merged: dict[str, Any] = _merge(below, config)
    return merged


def _merge(below: Any, above: Any) -> Any:
    """`above` laid over `below`: objects key by key, anything else replaced; null takes a key away."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    merged = {key: value for key, value in below.items() if key not in above}
    merged |= {key: _merge(below.get(key), value) for key, value in above.items() if value is not None}
    return merged


def _secret_lines(missing: list[str]) -> list[str]:
    return [
        f"pulumi config set --secret {NAMESPACE}:{name}    # {SECRETS[name].description}" for name in missing
    ]


def _line(detail: ErrorDetails) -> str:
    """One line for one mistake: key path, value, what is allowed."""
    path = [part for part in detail["loc"] if part != "[key]" and not str(part).startswith(UNION_BRANCHES)]
    where = f"{NAMESPACE}:{'.'.join(str(part) for part in path)}" if path else NAMESPACE
    if detail["type"] == "extra_forbidden":
        return f"{where}: unknown key; remove it or correct its spelling"
    if detail["type"] == "missing":
        return f"{where}: missing; allowed: {_allowed(path, detail)}"
    if detail["type"] == "value_error":
        return f"{where}: {detail['ctx']['error']}" if path else str(detail["ctx"]["error"])
    shown = "(secret)" if path and str(path[0]) in (*SECRETS, VARIABLES, ROTATION) else repr(detail["input"])
    return f"{where}: {shown}: allowed: {_allowed(path, detail)}"


def _allowed(path: list[Any], detail: ErrorDetails) -> str:
    """What the model says of the field at `path`, else what pydantic says."""
    model: Any = Settings
    description = annotation = None
    for part in (part for part in path if not isinstance(part, int)):
        fields = getattr(model, "model_fields", None)
        if fields is None:
            break
        field = next((f for name, f in fields.items() if part in (name, f.alias)), None)
        if field is None:
            break
        description = field.description or _inner_description(field.metadata)
        annotation = field.annotation
        model = _model_of(annotation)
    element = _element_description(annotation, is_key=detail["loc"][-1] == "[key]")
    return description or element or {"missing": "see Pulumi.prod.yaml"}.get(detail["type"], detail["msg"])


def _element_description(annotation: Any, is_key: bool) -> str | None:
    """What is allowed for the elements of a `dict[key, value]` or a `list[value]`."""
    arguments = get_args(annotation)
    if not arguments:
        return None
    return _inner_description(getattr(arguments[0 if is_key else -1], "__metadata__", ()))


def _inner_description(metadata: Iterable[Any]) -> str | None:
    return next((str(found) for meta in metadata if (found := getattr(meta, "description", None))), None)


def _model_of(annotation: Any) -> Any:
    """The model behind `Model`, `Model | None` or `list[Model]`."""
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
