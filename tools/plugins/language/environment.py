"""The interpreter that a program runs under, and the packages installed in it."""

import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class EnvironmentMissing(Exception):
    """There is no interpreter where the project says; the text says what to do."""


@dataclass(frozen=True)
class PulumiPackage:
    """A resource plugin that an installed package needs (its `pulumi-plugin.json`)."""

    name: str
    version: str
    server: str


@dataclass(frozen=True)
class Environment:
    """A virtual environment, or the interpreter that this process runs on if `folder` is empty."""

    folder: str

    @property
    def interpreter(self) -> str:
        """Path of the interpreter.

        Raises:
            EnvironmentMissing: the virtual environment has none.
        """
        path = self.expected_interpreter
        if not os.access(path, os.X_OK):
            raise EnvironmentMissing(
                f"virtual environment {self.folder} (runtime.options.virtualenv in Pulumi.yaml): "
                f"no executable bin/python; run `pulumi install`, or python3 -m venv {self.folder}"
            )
        return path

    @property
    def expected_interpreter(self) -> str:
        """Path where the interpreter is, or will be once the environment is made."""
        return str(Path(self.folder, "bin", "python")) if self.folder else sys.executable

    @property
    def site_packages(self) -> list[Path]:
        """Folders of installed packages."""
        if not self.folder:
            return [Path(path) for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        return list(Path(self.folder).glob("lib/python3*/site-packages"))

    def variables(self) -> dict[str, str]:
        """Environment variables of a process in it, as the `activate` script sets them."""
        variables = dict(os.environ)
        if self.folder:
            variables["VIRTUAL_ENV"] = self.folder
            variables["PATH"] = str(Path(self.folder, "bin")) + os.pathsep + variables.get("PATH", "")
            variables.pop("PYTHONHOME", None)
        return variables

    def required_plugins(self) -> list[PulumiPackage]:
        """Return the resource plugins of the installed Pulumi packages.

        The file pulumi-plugin.json: pulumi.com/docs, "Pulumi packages".
        """
        found = []
        for folder in self.site_packages:
            for path in sorted(folder.glob("pulumi_*/pulumi-plugin.json")):
                about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                if about.get("resource"):
                    package = path.parent.name
                    found.append(
                        PulumiPackage(
                            about.get("name") or package.removeprefix("pulumi_").replace("_", "-"),
                            about.get("version") or self._version_of(package),
                            about.get("server", ""),
                        )
                    )
        return found

    def _version_of(self, package: str) -> str:
        wanted = _normal(package)
        return next((version for name, version in self.installed(True) if _normal(name) == wanted), "")

    def installed(self, transitive: bool) -> list[tuple[str, str]]:
        """Return (name, version) of the installed packages, by name.

        Args:
            transitive: whether to name those that another installed one requires.
        """
        from importlib import metadata  # 0.02 s, and only `pulumi about` asks

        folders = [str(folder) for folder in self.site_packages]
        packages = {found.metadata["Name"]: found for found in metadata.distributions(path=folders)}
        needed = {
            _normal(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])
            for found in packages.values()
            for requirement in found.requires or []
            if "extra ==" not in requirement
        }
        return sorted(
            (name, found.version)
            for name, found in packages.items()
            if transitive or _normal(name) not in needed
        )


def environment_of(root: str, options: dict[str, Any]) -> Environment:
    """Return the environment that a project names.

    Args:
        root: folder of Pulumi.yaml.
        options: its runtime.options.
    """
    folder = options.get("virtualenv") or ""
    return Environment(os.path.normpath(Path(root, folder)) if folder else "")


def _normal(name: str) -> str:
    """Return a package's name in the one form that all spellings share (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
