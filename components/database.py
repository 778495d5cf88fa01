"""The database: MySQL 8 or the platform's substitute, its schema and the application's account."""

from __future__ import annotations

from pathlib import PurePosixPath

from settings import Settings

from .part import Part
from .platform import Platform
from .render import managed
from .services import service_unit
from .unit import Unit, call, file_unit, lines

CLIENT_FILE = "/etc/itqan/database.cnf"


def units(settings: Settings, platform: Platform) -> list[Unit]:
    """Section "Database" of the document."""
    service = platform.database_service
    return [
        service_unit("database/service", service),
        _address(settings, service),
        _client(settings),
        _schema(settings),
        *([_data(settings)] if settings.staging.database else []),
    ]


def _address(settings: Settings, service: str) -> Unit:
    """The server listens where the application asks it and nowhere else; touched only where it does not."""
    database = settings.database
    flavour = "mysql" if service == "mysql" else "mariadb"
    path = f"/etc/mysql/{flavour}.conf.d/99-itqan.cnf"
    content = f"# {managed('components/database.py')}\n[mysqld]\nbind-address = {database.host}\n"
    return Unit(
        name="database/address",
        probe=call("probe_exposed", database.port),
        expect=f"port {database.port} not exposed",
        apply=lines(call("place", path, "root:root", "644"), call("systemctl", "restart", service)),
        payload=content,
    )


def _client(settings: Settings) -> Unit:
    """How root's own tools log in as the application: also the proof that its password is the right one."""
    database = settings.database
    password = settings.database_password.get_secret_value().replace("\\", "\\\\").replace('"', '\\"')
    content = (
        f"# {managed('components/database.py')}\n"
        f"[client]\nhost={database.host}\nport={database.port}\nuser={database.user}\n"
        f'password="{password}"\n'  # quoted: an option file takes # for a comment, a backslash for an escape
    )
    return file_unit("database/client", CLIENT_FILE, content, mode="600", secret=True)


def _schema(settings: Settings) -> Unit:
    """The schema, and an account that may do everything in it and nothing outside, from this host only."""
    database = settings.database
    hosts = sorted({str(database.host), "localhost"})
    pattern = database.name.replace("_", "\\_")  # in a GRANT an underscore stands for any character
    grants = "".join(
        f"CREATE USER IF NOT EXISTS '{database.user}'@'{host}';\n"
        f"ALTER USER '{database.user}'@'{host}' IDENTIFIED BY "
        f"{_quoted(settings.database_password.get_secret_value())};\n"
        f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM '{database.user}'@'{host}';\n"
        f"GRANT ALL PRIVILEGES ON `{pattern}`.* TO '{database.user}'@'{host}';\n"
        for host in hosts
    )
    return Unit(
        name="database/schema",
        probe=lines(
            call("probe_schema", database.name, database.user, *hosts),
            call(
                "probe_check", "database login", "mysql", f"--defaults-file={CLIENT_FILE}", "-e", "SELECT 1"
            ),
            call("probe_listening", database.port),
        ),
        expect=lines(
            f"database {database.name} {database.charset}",
            *(f"account {database.user}@{host} USAGE {database.name}:ALL" for host in hosts),
            "database login ok",
            f"port {database.port} local only",
        ),
        apply=lines(call("ensure_charset", database.name, database.charset), "sql_root"),
        payload=grants,
        secret=True,
    )


def mounted_dump_path(settings: Settings) -> str:
    """Where a copy has the dump that is a file of its Docker host; its ending tells how it is packed."""
    name = PurePosixPath(settings.mounted_dump or "").name
    return f"/srv/itqan/dump{name[name.rindex('.sql') :]}"


def _data(settings: Settings) -> Unit:
    """A prepared dump in a database that has nothing yet; one that has data is left alone."""
    database = settings.database
    source = mounted_dump_path(settings) if settings.mounted_dump else settings.staging.database
    return Unit(
        name="database/data",
        probe=call("probe_data", database.name),
        expect=f"data of {database.name} present",
        apply=call("load_dump", database.name, database.charset, CLIENT_FILE, source),
    )


def _quoted(value: str) -> str:
    """A string literal of SQL."""
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


class Database(Part):
    """The database server, its schema and account."""

    part = "database"
