"""A platform's facts: package sources with their keys, packages, services, and what it cannot give."""

from __future__ import annotations

from functools import cache

import yaml
from pydantic import BaseModel, ConfigDict

from settings import Settings

from .render import text


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OsRelease(_Data):
    """ID and VERSION_ID of /etc/os-release."""

    id: str
    version: str

    @property
    def words(self) -> str:
        """As in a sentence: `debian 13`."""
        return f"{self.id} {self.version}"


class SigningKey(_Data):
    """A key of a package source: fetched from `url`, accepted only with this fingerprint."""

    fingerprint: str
    url: str


class Source(_Data):
    """A package source beside the distribution's own."""

    name: str
    uri: str
    suite: str
    component: str
    keys: list[SigningKey]


class Package(_Data):
    """A package; `follows` names a key of `software`, `precision` how many numbers of that version count.

    `family`: patterns of the packages that come from the same source and have to have its version, too.
    """

    name: str
    follows: str | None = None
    precision: int = 3
    family: tuple[str, ...] = ()

    def version(self, settings: Settings) -> str | None:
        """The upstream version that is wanted, or None for the distribution's own."""
        if self.follows is None:
            return None
        return ".".join(str(getattr(settings.software, self.follows)).split(".")[: self.precision])


class Phar(_Data):
    """Composer as one file, accepted only with this digest."""

    path: str
    url: str
    version: str
    sha256: str


class Substitution(_Data):
    """What the document names and the platform cannot give."""

    what: str
    documented: str
    here: str
    reason: str


class Platform(_Data):
    """One file of files/platforms."""

    release: OsRelease
    architectures: list[str]
    codename: str
    sources: list[Source]
    packages: list[Package]
    sample_packages: list[Package]
    copy_packages: list[Package]
    strict_packages: list[Package]
    php_versions: list[str]
    phar: Phar | None
    database_service: str
    composer_file: str | None
    substitutions: list[Substitution]

    def wanted(self, settings: Settings) -> list[Package]:
        """The packages of this stack: the platform's, its other PHP versions, what the application needs."""
        others = [v for v in settings.php.also_installed if v in self.php_versions]
        sample = self.sample_packages if settings.release.repository == "sample" else []
        copy = self.copy_packages if settings.target == "docker" else []
        php = [Package(name=f"php{version}-fpm") for version in others]
        known = [*self.packages, *php, *copy, *sample]
        names = {package.name for package in known}
        further = [Package(name=name) for name in settings.application_packages if name not in names]
        return [*known, *further]


@cache
def load_platform(name: str) -> Platform:
    """The platform `name`, `ubuntu-22.04` or `debian-13`."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return Platform.model_validate(yaml.load(text(f"platforms/{name}.yaml"), Loader=loader))
