"""A copy of a git branch: the names that follow from the branch's, and the secrets that are its own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from .fields import BRANCH
from .rules import NAMESPACE, at
from .secrets import AUTHORITY, BACKUP_MAC, BRANCH_SEED, DOCKER_KEY, SECRETS, Source

# Secrets that are no copy's own: what others are derived from, what browsers trust, what logs in on Docker
# hosts, what belongs to a setting.
SHARED = (BRANCH_SEED, AUTHORITY, DOCKER_KEY, BACKUP_MAC, "observerPrivateKey")
# Before a slug, the name of a stack.
PREFIX = "staging-"
# Where the copies of branches live when `itqan:staging.domain` does not say it: browsers and resolvers know
# that every name below `localhost` is this machine (RFC 6761, section 6.3).
DEFAULT_DOMAIN = "itqan.localhost"
# With it, `*.SLUG.itqan.localhost` fits into the common name of a certificate (64 characters, RFC 5280), and
# the stack's name into a host name.
LONGEST = 40
DIGEST = 8
# A slug with a digest; a branch whose own name looks like one gets a digest too, so that they never meet.
WITH_DIGEST = re.compile(rf"(?:.*-)?[0-9a-f]{{{DIGEST}}}")
PLAIN = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def slug(branch: str) -> str:
    """A branch's name as a DNS label of at most LONGEST characters; no two branches have the same.

    A name that is such a label already stays; every other one is cut and ends in a digest of the whole name.
    """
    if PLAIN.fullmatch(branch) and len(branch) <= LONGEST and not WITH_DIGEST.fullmatch(branch):
        return branch
    words = re.sub(r"[^a-z0-9]+", "-", branch.lower())[: LONGEST - DIGEST - 1].strip("-")
    return "-".join(filter(None, (words, hashlib.sha256(branch.encode()).hexdigest()[:DIGEST])))


def stack_of(branch: str) -> str:
    """The stack of a branch's copy."""
    return f"{PREFIX}{slug(branch)}"


def branch_problems(config: Mapping[str, Any], stack: str) -> list[str]:
    """One line for each reason why a merged configuration cannot be that of a branch's copy."""
    branch = config.get("branch")
    if not branch:
        return []
    key = f"{NAMESPACE}:branch"
    if not isinstance(branch, str):
        return [f"{key}: {branch!r}: allowed: {BRANCH}"]
    problems = []
    if config.get("target") != "docker":
        problems.append(f"{key}: {branch}: only a copy (itqan:target: docker) is of a branch")
    if stack != stack_of(branch):
        problems.append(f"{key}: {branch}: its stack is called {stack_of(branch)} and not {stack}")
    if not config.get(BRANCH_SEED):
        problems.append(f"{NAMESPACE}:{BRANCH_SEED}: missing; type: ./itqan branch up {branch}")
    return problems


def with_branch(config: Mapping[str, Any], stack: str) -> dict[str, Any]:
    """The merged configuration of a branch's copy: its own domain, host name, release and secrets.

    Pure: the program, the reports and every machine that has the seed see the same.
    """
    branch = str(config["branch"])
    own = {key: value for key, value in config.items() if key != BRANCH_SEED}
    domain = at(config, "staging.domain") or DEFAULT_DOMAIN
    return {
        **own,
        "domain": f"{slug(branch)}.{domain}",
        "server": {**config["server"], "hostname": stack},
        "release": {**config["release"], "ref": branch},
        **derived_secrets(config, stack),
    }


def derived_secrets(config: Mapping[str, Any], stack: str) -> dict[str, str]:
    """The secrets of a copy that can be made, and further ones that the base has, derived for one stack.

    The same seed and stack give the same ones. The test authority is that of all copies.
    """
    seed = str(config[BRANCH_SEED])
    return {
        name: secret.generate(source_of(seed, f"{NAMESPACE}/{stack}/{name}"))
        for name, secret in SECRETS.items()
        if secret.generate and name not in SHARED and ("docker" in secret.targets or config.get(name))
    }


def source_of(seed: str, purpose: str) -> Source:
    """Bytes by HKDF-SHA256 (RFC 5869), of no use for any other purpose than the one that is named."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return lambda length: HKDF(SHA256(), length, salt=None, info=purpose.encode()).derive(seed.encode())
