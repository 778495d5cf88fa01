"""A stack: its settings, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass

from settings import Settings

from . import surroundings
from .observation import Endpoint
from .platform import Platform, load_platform
from .repository import wanted_commit
from .server import server_units
from .surroundings import Surrounding
from .unit import Unit


@dataclass(frozen=True)
class Side:
    """A stack as something to bring to a host, or to compare with one.

    commit     what is to run
    judged     surroundings that have to be accounted for
    compared   surroundings that only mean something beside another host's
    """

    settings: Settings
    platform: Platform
    commit: str
    endpoint: Endpoint
    units: list[Unit]
    judged: list[Surrounding]
    compared: list[Surrounding]

    @classmethod
    def of(cls, settings: Settings, commit: str | None = None) -> Side:
        """Raises SettingsError, UnreadableKey.

        Arguments: `commit`, what is to run; None: what the repository says.
        """
        platform, commit = load_platform(settings.platform), commit or wanted_commit(settings)
        units = server_units(settings, platform, commit)
        return cls(
            settings,
            platform,
            commit,
            Endpoint.of(settings),
            units,
            surroundings.judged(settings, units),
            surroundings.compared(settings, platform),
        )

    @property
    def host(self) -> str:
        """How the host is reached, in words."""
        return self.endpoint.words

    @property
    def looked(self) -> list[Unit]:
        """What a run and an audit look at: the units, then the judged surroundings."""
        return [*self.units, *(surrounding.unit for surrounding in self.judged)]

    @property
    def looked_in_parity(self) -> list[Unit]:
        """What a comparison of two hosts looks at."""
        return [*self.looked, *(surrounding.unit for surrounding in self.compared)]
