"""The edge: its routes follow from the containers that run, the address in a browser from the settings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.nginx import site_content
from components.release import environment
from operations.daemon import Answer, Daemon
from operations.edge import Route, configuration, routes_of
from operations.opening import opening_words
from settings import Settings, SettingsError

LISTEN = "127.0.0.1:8443"


class Containers(Daemon):
    """A daemon that answers from memory. Each copy: stack, domain, state, age in seconds."""

    def __init__(self, *copies: tuple[str, str, str, int]) -> None:
        super().__init__("unix:///nowhere")
        self._copies = {stack: (domain, state, age) for stack, domain, state, age in copies}

    def objects(self, kind: str, label: str) -> list[dict[str, Any]]:
        assert (kind, label) == ("containers", "itqan.project=itqan")
        edge = {"Names": ["/itqan-edge"], "Labels": {}, "State": "running", "Created": 0, "Id": "e"}
        return [
            edge,
            *(self._listed(stack, part) for stack in self._copies for part in ("server", "registrar")),
        ]

    def _listed(self, stack: str, part: str) -> dict[str, Any]:
        _, state, age = self._copies[stack]
        address = f"10.213.0.{age}" if state == "running" else ""
        return {
            "Names": [f"/itqan-{stack}-{part}"],
            "Labels": {"itqan.stack": stack},
            "State": state,
            "Created": 1000 - age,
            "Id": stack,
            "NetworkSettings": {"Networks": {f"itqan-{stack}": {"IPAddress": address}}},
        }

    def request(self, method: str, path: str, *_: Any, **__: Any) -> Answer:
        asked = re.fullmatch(r"/containers/itqan-(.+)-registrar/json", path)
        assert method == "GET" and asked, path
        domain = self._copies[asked[1]][0]
        if not domain:
            return Answer(404, "")
        return Answer(200, json.dumps({"Config": {"Env": ["PATH=/bin", f"ITQAN_DOMAIN={domain}"]}}))


def test_every_copy_that_runs_has_a_route() -> None:
    daemon = Containers(("b", "b.localhost", "running", 2), ("a", "a.localhost", "running", 3))
    assert routes_of(daemon) == [
        Route("a.localhost", "10.213.0.3", "a"),
        Route("b.localhost", "10.213.0.2", "b"),
    ]


@pytest.mark.parametrize(
    ("domain", "state"),
    [("a.localhost", "exited"), ("a.localhost", "created"), ("", "running"), ("a;}", "running")],
)
def test_what_does_not_run_or_is_no_name_has_none(domain: str, state: str) -> None:
    assert routes_of(Containers(("a", domain, state, 3))) == []


def test_the_older_of_two_copies_keeps_the_domain() -> None:
    daemon = Containers(("new", "x.localhost", "running", 2), ("old", "x.localhost", "running", 9))
    assert [route.stack for route in routes_of(daemon)] == ["old"]


def test_the_configuration_names_each_domain_with_all_below_it() -> None:
    text, digest = configuration([Route("a.localhost", "10.213.0.3", "a")], LISTEN)
    assert "        .a.localhost 10.213.0.3:443;\n" in text
    assert f"        listen {LISTEN};\n" in text
    assert f'return 200 "{digest}\\n";' in text


def test_a_configuration_is_known_by_its_content() -> None:
    routes = [Route("a.localhost", "10.213.0.3", "a")]
    digests = {configuration(r, listen)[1] for r in ([], routes) for listen in (LISTEN, "0.0.0.0:443")}
    assert len(digests) == 4
    assert configuration(routes, LISTEN) == configuration([Route("a.localhost", "10.213.0.3", "z")], LISTEN)


@pytest.mark.parametrize(
    ("changes", "edge", "url"),
    [
        ({"domain": "itqan.test"}, None, "https://itqan.test"),
        ({"domain": "a.itqan.localhost"}, LISTEN, "https://a.itqan.localhost:8443"),
        ({"domain": "itqan.test", "staging": {"edge": LISTEN}}, LISTEN, "https://itqan.test:8443"),
        ({"domain": "a.localhost", "staging": {"edge": "0.0.0.0:443"}}, "0.0.0.0:443", "https://a.localhost"),
    ],
)
def test_the_address_in_a_browser(
    stack: Callable[..., Settings], changes: dict[str, Any], edge: str | None, url: str
) -> None:
    settings = stack("staging", **changes)
    assert settings.edge == edge
    assert environment(settings)["APP_URL"] == settings.url == url


def test_a_server_is_behind_no_edge(stack: Callable[..., Settings]) -> None:
    settings = stack("prod", staging={"edge": LISTEN})
    assert settings.edge is None
    assert settings.url == "https://itqanway.com"
    assert "VITE_REVERB_PORT" not in environment(settings)


def test_browsers_and_the_application_reach_reverb_at_their_own_ports(stack: Callable[..., Settings]) -> None:
    variables = environment(stack("staging", domain="a.itqan.localhost"))
    assert (variables["REVERB_PORT"], variables["VITE_REVERB_PORT"]) == ("443", "8443")


def test_links_carry_the_port_behind_an_edge_only(stack: Callable[..., Settings], prod: Settings) -> None:
    behind = site_content(stack("staging", domain="a.itqan.localhost"))
    assert "        fastcgi_param HTTP_HOST $host:8443;\n" in behind
    assert behind.index("include fastcgi_params;") < behind.index("fastcgi_param HTTP_HOST")
    assert "HTTP_HOST" not in site_content(prod)
    assert "absolute_redirect" not in site_content(prod)


@pytest.mark.parametrize(
    "listen", ["127.0.0.1:0", "127.0.0.1:65536", "300.0.0.1:8443", "8443", "localhost:8443"]
)
def test_where_an_edge_cannot_listen(stack: Callable[..., Settings], listen: str) -> None:
    with pytest.raises(SettingsError, match=r"itqan:staging\.edge"):
        stack("staging", staging={"edge": listen})


def test_the_words_of_opening_name_the_address_and_the_file() -> None:
    said = opening_words({"url": "https://a.itqan.localhost:8443"}, Path("/x/root.crt"))
    assert said.startswith("https://a.itqan.localhost:8443\n")
    assert said.count("/x/root.crt") == 5
