"""Load on a copy while something else goes on: requests without a pause, and a browser's WebSocket client."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from types import TracebackType

from tests.vps.load import Load

from .copy import ROOT, Copy, poll

# A client of pusher-js, as the page has one: each change of its connection, with the time in milliseconds.
WATCH = """
const [root, host, key] = process.argv.slice(2);
const Pusher = require('node:module').createRequire(`${root}/`)('pusher-js');
const pusher = new Pusher(key, {
    wsHost: host, wssPort: 443, forceTLS: true, enabledTransports: ['ws', 'wss'],
    cluster: '', enableStats: false,
});
const say = (what) => console.log(JSON.stringify({ at: Date.now(), what }));
pusher.connection.bind('state_change', ({ current }) => say(current));
pusher.connection.bind('error', () => say('dropped'));
"""
APPLICATION = "/var/www/itqan-platform"


class Traffic:
    """Clients that ask for pages, and one of pusher-js that stays connected; a context manager.

    answers   how many there were of each kind: a status, or what was wrong with the connection
    waits     seconds from each loss of the client's connection to the next one, when the context has ended
    """

    def __init__(self, copy: Copy, clients: int = 3) -> None:
        """Arguments: `clients`, how many ask for pages at once."""
        self._copy = copy
        domain = copy.outputs["domain"]
        self._load = Load(copy.outputs["address"], domain, copy.root.read_text(), clients, ("/", "/up"))
        self._process: subprocess.Popen[str] | None = None
        self.waits: list[float] = []

    @property
    def answers(self) -> Counter[str]:
        """See the class."""
        return self._load.answers

    def __enter__(self) -> Traffic:
        domain, address = self._copy.outputs["domain"], "127.0.0.1"
        key = self._copy.bash(f"sed -n 's/^REVERB_APP_KEY=//p' {APPLICATION}/.env")
        self._copy.bash(f"grep -q ' {domain}$' /etc/hosts || echo '{address} {domain}' >>/etc/hosts")
        self._copy.bash(f"cat >/run/watch.cjs <<'END'\n{WATCH}\nEND\n: >/run/watch.log")
        command = (
            "cd /; NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt "
            f"exec node /run/watch.cjs {APPLICATION} {domain} {key} >/run/watch.log 2>&1"
        )
        run = ["docker", "exec", self._copy.outputs["container"], "bash", "-c", command]
        self._process = subprocess.Popen(run, cwd=ROOT, text=True)
        self._load.__enter__()
        try:
            poll(lambda: self._said() and self.answers["200"], 60, "a connected client, and pages")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._load.__exit__(kind, error, trace)
        self._copy.bash("pkill -f '^node /run/watch.cjs' || true")
        assert self._process is not None
        self._process.wait()
        lost = 0
        for at, what in self._said():
            if what == "connected" and lost:
                self.waits.append((at - lost) / 1000)
            lost = 0 if what == "connected" else lost or at

    def _said(self) -> list[tuple[int, str]]:
        lines = self._copy.bash("cat /run/watch.log").splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{")]
        found = [(entry["at"], entry["what"]) for entry in entries]
        first = next((number for number, (_, what) in enumerate(found) if what == "connected"), len(found))
        return found[first:]

    def require(self) -> None:
        """Every request was answered, with a page."""
        assert set(self.answers) == {"200"}, self.answers


def wrk(copy: Copy, seconds: int) -> subprocess.Popen[str]:
    """wrk on the copy's own host, for that many seconds; its report is its standard output."""
    command = ["wrk", "-t1", "-c4", f"-d{seconds}s", "--timeout", "30s", f"https://{copy.outputs['domain']}/"]
    run = ["docker", "exec", copy.outputs["container"], *command]
    return subprocess.Popen(run, stdout=subprocess.PIPE, text=True)


def counted(report: str) -> tuple[int, int]:
    """The requests that wrk counted, and those of them that failed or were answered with another status."""
    total = re.search(r"(\d+) requests in", report)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", report)
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", report)
    failed = sum(map(int, errors.groups())) if errors else 0
    return int(total[1]) if total else 0, failed + (int(other[1]) if other else 0)
