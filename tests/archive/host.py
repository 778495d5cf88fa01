"""A host as the units see it: a container that says it is Ubuntu 22.04, with the project's runner."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from components.render import PROBES, text
from components.unit import Unit, create_text

OWNER = "itqan/archive test"


@dataclass(frozen=True)
class Host:
    """A running container."""

    name: str

    def bash(self, script: str, check: bool = True, stdin: str = "") -> str:
        """Standard output of bash as root."""
        done = self._exec(script, stdin)
        assert not check or done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def converge(self, *units: Unit) -> dict[str, str]:
        """Brings units to what they expect, by the very commands of the stack.

        Returns what the runner says of each, `changed` or `unchanged`; a failure fails the test.
        """
        said = {}
        for unit in units:
            done = self.attempt(unit)
            assert done.returncode == 0, f"{unit.name}\n{done.stdout}\n{done.stderr}"
            said[unit.name] = done.stdout.split()[1]
        return said

    def attempt(self, unit: Unit) -> subprocess.CompletedProcess[str]:
        """The same for one unit that may fail."""
        return self._exec(create_text(unit, OWNER, sudo=False), unit.payload or "")

    def refusal(self, unit: Unit) -> str:
        """What is said of a unit that has to fail, in the line for the user."""
        done = self.attempt(unit)
        assert done.returncode == 1, f"{unit.name}\n{done.stdout}\n{done.stderr}"
        (line,) = (line for line in done.stderr.splitlines() if line.startswith("itqan: "))
        return line

    def probe(self, unit: Unit) -> str:
        """What a unit's probe sees."""
        return self.bash(f"{''.join(map(text, PROBES))}\n{unit.probe}")

    @property
    def packages(self) -> dict[str, str]:
        """The installed packages with their versions."""
        listed = self.bash("dpkg-query -W -f='${db:Status-Status} ${Package} ${Version}\\n'")
        rows = (line.split() for line in listed.splitlines())
        return {row[1]: row[2] for row in rows if row[0] == "installed"}

    @property
    def held(self) -> list[str]:
        """The packages that apt holds."""
        return self.bash("apt-mark showhold").split()

    def _exec(self, script: str, stdin: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", "exec", "-i", self.name, "bash", "-c", script],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
