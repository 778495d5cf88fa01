"""The database: MySQL 8 or the platform's substitute, its schema and the application's account."""

from __future__ import annotations

from pathlib import PurePosixPath

from settings import Settings

from .digests import key
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
        _schema(settings, service),
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
        apply=call("bind_database", service, database.host, database.port, path),
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
    return file_unit("database/client", CLIENT_FILE, content, mode="600", key=key(settings))


def _schema(settings: Settings, service: str) -> Unit:
    """The schema, and an account that may do everything in it and nothing outside, from this host only.

    While its password is being changed, the account has the old one as a second.
    """
    database = settings.database
    hosts = sorted({str(database.host), "localhost"})
    accounts = [f"{database.user}@{host}" for host in hosts]
    changing = settings.previous("db") is not None
    # as the application comes in; see SQL_PLAIN of files/host/probes.sh
    plain = [] if service == "mysql" else ["--skip-ssl"]
    login = ["mysql", f"--defaults-file={CLIENT_FILE}", *plain, "-e", "SELECT 1"]
    return Unit(
        name="database/schema",
        probe=lines(
            call("probe_schema", database.name, database.user, *hosts),
            call("probe_check", "database login", *login),
            call("probe_listening", database.port),
        ),
        expect=lines(
            f"database {database.name} {database.charset}",
            *(
                line
                for account in accounts
                for line in (
                    f"account {account} USAGE {database.name}:ALL",
                    f"account {account} has a second password" if changing else "",
                )
            ),
            "database login ok",
            f"port {database.port} local only",
        ),
        apply=lines(
            call("ensure_charset", database.name, database.charset),
            "sql_root",
            # only where they are not right: a moment without rights would fail requests
            call("ensure_grants", database.name, database.user, *hosts),
        ),
        payload="".join(_password_statements(settings, service, host) for host in hosts),
        secret=True,
    )


def _password_statements(settings: Settings, service: str, host: str) -> str:
    """What gives an account its password, and its old one too while that still has to work.

    MySQL 8.0.14 keeps one more with RETAIN CURRENT PASSWORD (reference manual, "Dual Password Support"),
    MariaDB has a list of ways to log in (ALTER USER, "IDENTIFIED VIA … OR …").
    """
    user, previous = f"'{settings.database.user}'@'{host}'", settings.previous("db")
    password = _quoted(settings.database_password.get_secret_value())
    create = f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY {password};\n"
    alter = f"ALTER USER {user} IDENTIFIED BY {password}"
    if service != "mysql":
        if previous is None:
            return f"{create}{alter};\n"
        ways = " OR ".join(
            f"mysql_native_password USING PASSWORD({p})" for p in (password, _quoted(previous))
        )
        return f"{create}ALTER USER {user} IDENTIFIED VIA {ways};\n"
    if previous is None:
        return f"{create}{alter};\nALTER USER {user} DISCARD OLD PASSWORD;\n"
    # once only: a second time it would retain the new one and lose the old one
    kept = (
        f"SELECT COUNT(*) FROM mysql.user WHERE user = '{settings.database.user}' AND host = '{host}' "
        "AND JSON_CONTAINS_PATH(IFNULL(User_attributes, '{}'), 'one', '$.additional_password')"
    )
    retain = _quoted(f"{alter} RETAIN CURRENT PASSWORD")
    return (
        f"{create}SET @change = IF(({kept}), 'DO 0', {retain});\n"
        "PREPARE change_password FROM @change;\nEXECUTE change_password;\n"
        "DEALLOCATE PREPARE change_password;\n"
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
