"""A thousand people who never were, as a server has them, and the rules by which a copy gets them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

PEOPLE = 1000
RULES = """\
tables:
  migrations: {}
  visits: {token: token, release: keep}
  heartbeats: {release: keep}
  failed_jobs: drop rows
  sessions: drop rows
  customers:
    name: name
    email: email
    phone: phone
    password: password
    national_id: token
    notes: text
    settings:
      $.contact.phone: phone
      $.friends[*]: email
  orders: {customer_email: email, delivered_to: name}
files:
  "storage/app/tenants/*/logos/**": keep
  "storage/app/tenants/*/papers/**": placeholder
"""
TABLES = """\
CREATE TABLE customers (
  id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, name varchar(120) NOT NULL,
  email varchar(190) NOT NULL UNIQUE, phone varchar(20) NULL UNIQUE, password varchar(255) NOT NULL,
  national_id varchar(10) NOT NULL, notes text NULL, settings json NULL, plan varchar(20) NOT NULL);
CREATE TABLE orders (
  id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, customer_id bigint unsigned NOT NULL,
  customer_email varchar(190) NOT NULL, delivered_to varchar(120) NULL, total decimal(8,2) NOT NULL,
  FOREIGN KEY (customer_id) REFERENCES customers (id));
CREATE TABLE sessions (id varchar(255) NOT NULL PRIMARY KEY, payload longtext NOT NULL);
CREATE VIEW addresses AS SELECT id, email FROM customers;
"""


@dataclass(frozen=True)
class Person:
    """Somebody who never was; everything of a person is the only one of its kind."""

    number: int

    @property
    def name(self) -> str:
        if self.number % 2:
            return f"زيدان{self.number} المنصوري{self.number}"
        return f"Zaidan{self.number} O'Mansoory{self.number}"

    @property
    def email(self) -> str:
        return f"Person.{self.number}@mail{self.number % 9}.example.org"

    @property
    def phone(self) -> str:
        # spread over many beginnings, so that no number that is made up is by chance another person's
        begin = f"+{2 + self.number % 7}{10 + self.number % 83}{self.number % 89:02}"
        return f"{begin}{self.number * 7907 % 10**7:07}"

    @property
    def originals(self) -> tuple[str, ...]:
        quoted = self.name.replace("'", "\\'")  # as a dump has it
        return (self.name, quoted, self.email, self.email.lower(), self.email.upper(), self.phone)

    @property
    def statements(self) -> str:
        settings = {"contact": {"phone": self.phone}, "friends": [self.email], "theme": "dark"}
        notes = f"Call {self.name} at {self.phone} or write to {self.email}"
        password = "$2y$10$" + f"{self.number:053}"
        customer = [
            *(self.number, self.name, self.email, self.phone, password, f"{1000000000 + self.number}"),
            *(notes, json.dumps(settings, ensure_ascii=False), "gold"),
        ]
        order = [self.number, self.number, self.email.upper(), self.name, 9.5]
        session = [f"s{self.number}", f"{self.email} {self.name} {self.phone}"]
        rows: dict[str, list[Any]] = {"customers": customer, "orders": order, "sessions": session}
        return "".join(f"INSERT INTO {table} VALUES ({_literals(row)});\n" for table, row in rows.items())


def _literals(row: list[Any]) -> str:
    return ",".join("'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'" for value in row)


EVERYBODY = [Person(number) for number in range(1, PEOPLE + 1)]
STATEMENTS = "START TRANSACTION;\n" + "".join(person.statements for person in EVERYBODY) + "COMMIT;\n"
# All that is to be found nowhere.
ORIGINALS = [text for person in EVERYBODY for text in person.originals]
