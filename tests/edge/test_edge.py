"""Two copies at once in a browser; one of them comes and goes, and the other one does not notice."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Error

from operations.daemon import Daemon
from operations.edge import NAME, EdgeError, register, routes_of, tidy
from operations.errors import OperationError
from operations.steps import Steps
from tests.e2e.copy import Copy, itqan

from .conftest import browser_at_home
from .traffic import Traffic
from .watched import Watched

pytestmark = pytest.mark.usefixtures("own_edge")


def alert(first: Copy, name: str | None) -> str:
    """What a TLS client is told that asks the edge for a name."""
    context = ssl.create_default_context(cafile=str(first.root))
    context.check_hostname = name is not None
    address, _, port = first.outputs["edge"].partition(":")
    with (
        pytest.raises(ssl.SSLError) as told,
        socket.create_connection((address, int(port)), 30) as plain,
        context.wrap_socket(plain, server_hostname=name),
    ):
        pass
    return str(told.value.reason)


def test_a_browser_that_was_told_nothing_refuses_the_certificate(first: Copy, tmp_path: Path) -> None:
    with browser_at_home(tmp_path) as context, pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
        context.new_page().goto(first.outputs["url"])


def test_pages_and_tenants_of_two_copies(first: Copy, second: Copy, trusting: BrowserContext) -> None:
    for copy in (first, second):
        tenant = copy.outputs["url"].replace("https://", "https://noor.")
        for url, words in ((copy.outputs["url"], "منصة"), (tenant, "noor")):
            page = trusting.new_page()
            failed: list[str] = []
            page.on("requestfailed", lambda request: failed.append(request.url))  # noqa: B023
            answer = page.goto(url)
            assert answer is not None and answer.status == 200
            assert words in page.title()
            assert copy.outputs["release"] in page.content()
            assert page.evaluate("getComputedStyle(document.body).padding") != "0px", (
                "the style sheet is there"
            )
            assert not failed
            page.close()


def test_messages_arrive_on_two_copies_at_once(
    open_page: Watched, second: Copy, trusting: BrowserContext
) -> None:
    other = Watched(trusting, second.outputs["url"])
    other.shows_a_message()
    open_page.shows_a_message()
    assert len(other.sockets) == 1 and not other.closed
    assert other.sockets[0].url.startswith(second.outputs["url"].replace("https:", "wss:"))
    other.page.close()


def test_both_copies_show_certificates_of_one_root(first: Copy, second: Copy) -> None:
    assert first.outputs["rootCertificate"] == second.outputs["rootCertificate"] == first.root.read_text()
    assert second.get("/").status == 200


@pytest.mark.parametrize("name", ["nobody.itqan.localhost", "example.com", None])
def test_a_name_of_no_copy_is_refused_with_the_alert_for_it(first: Copy, name: str | None) -> None:
    assert alert(first, name) == "TLSV1_UNRECOGNIZED_NAME"


def test_a_port_in_use_is_one_clear_line_and_the_old_one_goes_on(first: Copy, traffic: Traffic) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(EdgeError, match=f"itqan:staging.edge: {listen} is in use by another program"):
            register(first.stack, {**first.outputs, "edge": listen}, Steps())
    asked = traffic.asked
    register(first.stack, first.outputs, Steps())
    with traffic.pool() as pool:
        assert pool.request("GET", "/").status == 200
    assert traffic.asked >= asked and not traffic.failed


def test_a_domain_leads_to_the_copy_that_was_there_first(first: Copy, second: Copy) -> None:
    taken = {**second.outputs, "domain": first.outputs["domain"]}
    with pytest.raises(EdgeError, match=f"{first.outputs['domain']} leads to stack {first.stack}"):
        register(second.stack, taken, Steps())


def test_many_at_once_agree(first: Copy, second: Copy) -> None:
    failed: list[Exception] = []

    def again(copy: Copy) -> None:
        try:
            register(copy.stack, copy.outputs, Steps())
        except OperationError as error:
            failed.append(error)

    threads = [threading.Thread(target=again, args=(copy,)) for copy in (first, second) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    shown = Daemon().execute(NAME, "cat", "/etc/nginx/edge.conf")[1]
    for route in routes_of(Daemon()):
        assert f".{route.domain} {route.address}:443;" in shown


def test_an_edge_with_copies_stays(first: Copy) -> None:
    tidy(Daemon(), Steps())
    assert first.stack in [route.stack for route in routes_of(Daemon())]
    assert Daemon().execute(NAME, "edge", "listens") == (0, first.outputs["edge"])


def test_nothing_was_dropped_while_the_other_copy_came_and_went(
    open_page: Watched, second: Copy, traffic: Traffic
) -> None:
    itqan("down", "--yes", "--stack", second.stack)
    assert second.stack not in [route.stack for route in routes_of(Daemon())]
    assert second.outputs["domain"] not in Daemon().execute(NAME, "cat", "/etc/nginx/edge.conf")[1]
    open_page.shows_a_message()
    assert len(open_page.sockets) == 1 and not open_page.closed
    assert traffic.asked > 10
    assert traffic.failed == []


@pytest.mark.parametrize("how", [["kill", NAME], ["stop", "-t", "1", NAME], ["rm", "-f", NAME]])
def test_an_edge_that_was_killed_comes_back_with_its_routes(first: Copy, how: list[str]) -> None:
    subprocess.run(["docker", *how], check=True, capture_output=True)
    register(first.stack, first.outputs, Steps())
    name = first.outputs["domain"]
    context = ssl.create_default_context(cafile=str(first.root))
    address, _, port = first.outputs["edge"].partition(":")
    with (
        socket.create_connection((address, int(port)), 30) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        assert secure.version() in ("TLSv1.2", "TLSv1.3")


def test_an_edge_of_another_version_is_replaced(first: Copy) -> None:
    image = Daemon().checked("GET", f"/containers/{NAME}/json").json()["Config"]["Image"]
    subprocess.run(["docker", "rm", "-f", NAME], check=True, capture_output=True)
    subprocess.run(["docker", "tag", image, f"{NAME}:old"], check=True, capture_output=True)
    label = "--label=itqan.project=itqan"
    old = ["docker", "run", "-d", "--name", NAME, "--network=host", label, f"{NAME}:old"]
    subprocess.run(old, check=True, capture_output=True)
    register(first.stack, first.outputs, Steps())
    subprocess.run(["docker", "rmi", f"{NAME}:old"], check=True, capture_output=True)
    assert Daemon().checked("GET", f"/containers/{NAME}/json").json()["Config"]["Image"] == image
    assert Daemon().execute(NAME, "edge", "listens") == (0, first.outputs["edge"])
