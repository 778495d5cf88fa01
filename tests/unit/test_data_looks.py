"""What looks personal."""

from __future__ import annotations

import pytest

from operations.data.looks import DERIVED, kind_by_name, kind_by_value


@pytest.mark.parametrize(
    ("column", "type_", "kind"),
    [
        ("email", "varchar(255)", "email"),
        ("contactEmail", "varchar(255)", "email"),
        ("first_name", "varchar(80)", "name"),
        ("phone_2", "bigint unsigned", "phone"),
        ("ip_address", "varchar(45)", "ip"),
        ("national_id", "varchar(10)", "token"),
        ("api_key", "varchar(64)", "token"),
        ("home_address", "varchar(255)", "text"),
        ("birth_date", "date", "date"),
        ("user_agent", "varchar(255)", "text"),
        ("email_verified_at", "timestamp", None),
        ("has_phone", "tinyint(1)", None),
        ("user_id", "bigint unsigned", None),
        ("token_id", "bigint unsigned", None),
        ("status", "varchar(20)", None),
        ("key", "varchar(20)", None),
    ],
)
def test_names_of_columns(column: str, type_: str, kind: str | None) -> None:
    assert kind_by_name(column, type_) == kind


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("write to amina@example.org", "email"),
        ("+966 50 123 4567", "phone"),
        ("0501234567", "phone"),
        ("192.0.2.1", "ip"),
        ("2a02:4780:41::1", "ip"),
        ("$2y$10$I5VWLv/b8QEIkvxgqR5RHOpX0/RIp1uEVX0k3udfD0f/bpS3Zsh9K", "token"),
        ("9e107d9d372bb6826bd81d3542a419d6", "token"),
        ('{"a": 1}', "text"),
        ('a:1:{s:4:"name";s:5:"Amina";}', "text"),
        ("Amina Siddiq", "name"),
        ("أمينة", "name"),
        ("Zoë", "name"),
        ("active", None),
        ("App\\Models\\User", None),
        ("2026_01_01_000001_create_users_table", None),
        ("2026-01-01", None),
        ("2026-01-01 10:00:00", None),
        ("550e8400-e29b-41d4-a716-446655440000", None),
        ("1.18.0", None),
        ("course-17", None),
        ("", None),
    ],
)
def test_values(value: str, kind: str | None) -> None:
    assert kind_by_value(value) == kind


def test_tables_that_a_copy_can_do_without() -> None:
    tables = ("sessions", "failed_jobs", "telescope_entries", "oauth_access_tokens", "password_reset_tokens")
    assert all(map(DERIVED.fullmatch, tables))
    assert not DERIVED.fullmatch("users")
    assert not DERIVED.fullmatch("user_sessions")
