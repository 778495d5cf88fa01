"""Backups: to whom they are encrypted, when they are made, how long they are kept, and the second place."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from .age import NoAgeKey, public_bytes
from .fields import AccountName, HostKey, Port, RelativePath, text
from .parts import Part

AGE_KEY = "a public key of age, age1…, as `./itqan backup key` makes one"
TIME = 'a time of day of the host in quotes, such as "02:30"'
PATHS = "a list of folders below the application, such as storage/app/tenants"
PLACE_PATH = "a folder there: letters, digits, dots, dashes; the stack's own is made in it"


def _whole(key: str) -> str:
    try:
        public_bytes(key)
    except NoAgeKey as error:
        raise ValueError(f"{key!r}: {error}; allowed: {AGE_KEY}") from None
    return key


AgeKey = Annotated[str, text(r"age1[a-z0-9]{1,90}", AGE_KEY), AfterValidator(_whole)]


class Keep(Part):
    """How many days, weeks and months the newest backup is kept of."""

    daily: int = Field(7, ge=1, le=366, description="days, 1 to 366")
    weekly: int = Field(4, ge=0, le=520, description="weeks, 0 to 520")
    monthly: int = Field(12, ge=0, le=120, description="months, 0 to 120")


class SecondPlace(Part):
    """Where a copy of each backup goes: a host with SFTP, or a bucket of an S3-compatible store."""

    type: Literal["sftp", "s3"]
    host: str | None = text(r"[A-Za-z0-9][A-Za-z0-9.:-]*", "sftp: a host name or an address", None)
    port: Port = 22
    user: AccountName | None = Field(None, description="sftp: who logs in there")
    host_key: HostKey | None = Field(
        None, description="sftp: that host's public key, from `ssh-keyscan -t ed25519 HOST`, compared there"
    )
    endpoint: str | None = text(r"https?://[A-Za-z0-9.:-]+", "s3: the store's address, https://…", None)
    region: str = text(r"[a-z0-9-]*", "s3: a region, or nothing", "")
    bucket: str | None = text(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "s3: a bucket that is there", None)
    path: str = text(r"/?[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*", PLACE_PATH, "itqan-backups")

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> SecondPlace:
        needed = {"sftp": ("host", "user", "host_key"), "s3": ("endpoint", "bucket")}[self.type]
        aliases = {name: field.alias for name, field in type(self).model_fields.items()}
        if missing := [aliases[name] for name in needed if getattr(self, name) is None]:
            raise ValueError(f"a second place of type {self.type} needs {', '.join(map(str, missing))}, too")
        return self

    @property
    def words(self) -> str:
        """Where it is, in words."""
        if self.type == "sftp":
            return f"{self.user}@{self.host} port {self.port}, {self.path}"
        return f"{self.endpoint}, {self.bucket}/{self.path.strip('/')}"


class Backup(Part):
    """Nightly backups: section "Backup" of the document, and what it leaves open (docs/backups.md)."""

    keys: list[AgeKey] = Field(min_length=1, description=f"a list with {AGE_KEY}")
    time: str = text(r"(?:[01]\d|2[0-3]):[0-5]\d", TIME, "02:30")
    keep: Keep = Keep()
    files: list[RelativePath] = Field(["storage/app/tenants"], description=PATHS)
    second: SecondPlace | None = None


def backup_folder(place: SecondPlace, stack: str) -> str:
    """A stack's own folder at the second place: two of them never meet."""
    path = place.path if place.type == "sftp" else f"{place.bucket}/{place.path.strip('/')}"
    return f"{path}/{re.sub(r'[^A-Za-z0-9._-]', '-', stack)}"
