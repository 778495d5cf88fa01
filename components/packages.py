"""Packages: sources with verified keys, pins, one apt transaction, Composer."""

from __future__ import annotations

from settings import Settings

from .part import Part
from .platform import Package, Platform, Source
from .render import managed
from .unit import Unit, call, file_line, file_unit, lines


def units(settings: Settings, platform: Platform) -> list[Unit]:
    """Section "Software Stack" of the document."""
    sources = [_sources(platform)] if platform.sources else []
    composer = [_composer(platform)] if platform.phar else []
    return [*sources, _pins(settings, platform), _installed(settings, platform), *composer]


def _keyring(source: Source) -> str:
    return f"/etc/apt/keyrings/{source.name}.gpg"


def _deb822(source: Source) -> str:
    return (
        f"# {managed('components/packages.py')}\n"
        f"Types: deb\nURIs: {source.uri}\nSuites: {source.suite}\nComponents: {source.component}\n"
        f"Signed-By: {_keyring(source)}\n"
    )


def _sources(platform: Platform) -> Unit:
    """Sources beside the distribution's; a key is accepted only with the fingerprint of the platform file."""
    probes, expect, fetch, write = [], [], [], []
    for source in platform.sources:
        path = f"/etc/apt/sources.list.d/{source.name}.sources"
        fingerprints = sorted(key.fingerprint for key in source.keys)
        probes += [call("probe_keyring", _keyring(source)), call("probe_file", path)]
        expect += [
            f"keyring {_keyring(source)} {' '.join(fingerprints)}",
            file_line(path, "root:root", "644", _deb822(source)),
        ]
        keys = [part for key in source.keys for part in (key.fingerprint, key.url)]
        fetch.append(call("fetch_keyring", _keyring(source), *keys))
        write += [call("own_source", path, source.uri), _write(path, _deb822(source))]
    # all keys first: a wrong one leaves the host with the sources it had
    return Unit("packages/sources", lines(*probes), lines(*expect), lines("apt_bootstrap", *fetch, *write))


def _write(path: str, content: str) -> str:
    return f"{call('place', path, 'root:root', '644')} <<'END'\n{content}END"


def _pins(settings: Settings, platform: Platform) -> Unit:
    """Versions of the document as apt preferences (apt_preferences(5): 1001 goes down to the version too)."""
    entries = [
        f"Package: {names}\nPin: version {_glob(version)}\nPin-Priority: 1001\n"
        for package in platform.wanted(settings)
        if (version := package.version(settings)) and (names := " ".join((package.name, *package.family)))
    ]
    header = f"# {managed('components/packages.py')}\n"
    return file_unit("packages/pins", "/etc/apt/preferences.d/itqan", header + "\n".join(entries))


def _glob(version: str) -> str:
    """An apt pattern for an upstream version, with or without an epoch."""
    return f"/^([0-9]+:)?{version.replace('.', '[.]')}([-+~.]|$)/"


def _installed(settings: Settings, platform: Platform) -> Unit:
    """All packages in one transaction; the followed ones are held so that an upgrade leaves them alone."""
    wanted = platform.wanted(settings)
    held = sorted(package.name for package in wanted if package.follows)
    specs = [_spec(package, settings) for package in wanted]
    return Unit(
        name="packages/installed",
        probe=lines(call("probe_package", *specs), call("probe_held", *held)),
        expect=lines(
            *(f"package {p.name} {p.version(settings) or 'installed'}" for p in wanted),
            f"held {' '.join(held)}",
        ),
        apply=lines(call("apt_install", *specs), call("hold_packages", *held)),
    )


def _spec(package: Package, settings: Settings) -> str:
    version = package.version(settings)
    return f"{package.name}={version}" if version else package.name


def _composer(platform: Platform) -> Unit:
    """Composer from its own site, accepted only with the digest of the platform file."""
    phar = platform.phar
    assert phar is not None
    return Unit(
        name="packages/composer",
        probe=call("probe_file", phar.path),
        expect=f"file {phar.path} root:root 755 sha256:{phar.sha256}",
        apply=call("fetch_file", phar.path, "755", phar.sha256, phar.url),
    )


class Packages(Part):
    """Software of the host."""

    part = "packages"
