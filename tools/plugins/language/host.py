"""The service pulumirpc.LanguageRuntime for programs in Python."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

import grpc
from google.protobuf import empty_pb2
from typing_extensions import override

from tools.plugins.common.protobuf import bare_packages
from tools.plugins.common.values import decode
from tools.plugins.language.environment import Environment, EnvironmentMissing, environment_of
from tools.plugins.language.process import REPORTED, Programs

with bare_packages():
    from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

VERSION = "3.259.0"
_CHUNK = 65536  # bytes read at once
_PRINT_VERSION = "import platform; print(platform.python_version())"


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Serves one engine.

    Args:
        engine: its address, for the messages of programs; empty until Handshake names it.
    """

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._programs = Programs()

    def stop(self) -> None:
        """End every program."""
        self._programs.end()

    @override
    def Handshake(self, request: Any, context: Any) -> Any:
        self._engine = request.engine_address or self._engine
        return language_pb2.LanguageHandshakeResponse()

    @override
    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    @override
    def GetRequiredPlugins(self, request: Any, context: Any) -> Any:
        return language_pb2.GetRequiredPluginsResponse(
            plugins=[
                plugin_pb2.PluginDependency(
                    name=found.name, kind="resource", version=found.version, server=found.server
                )
                for found in _environment(request.info).required_plugins()
            ]
        )

    @override
    def GetRequiredPackages(self, request: Any, context: Any) -> Any:
        """List the plugins of installed packages; a run follows soon, so its interpreter is started."""
        environment = _environment(request.info)
        try:
            self._programs.prepare(environment)
        except (EnvironmentMissing, OSError) as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        return language_pb2.GetRequiredPackagesResponse(
            packages=[
                plugin_pb2.PackageDependency(
                    name=found.name, kind="resource", version=found.version, server=found.server
                )
                for found in environment.required_plugins()
            ]
        )

    @override
    def Run(self, request: Any, context: Any) -> Any:
        if request.attach_debugger:
            return language_pb2.RunResponse(error="this language host cannot attach a debugger")
        try:
            status = self._programs.run(_environment(request.info), self._run_request(request))
        except (EnvironmentMissing, OSError) as error:
            return language_pb2.RunResponse(error=str(error))
        if status == REPORTED:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(
            error=f"Program exited with non-zero exit code: {status}" if status else ""
        )

    def _run_request(self, request: Any) -> dict[str, Any]:
        """Return what execute.py reads."""
        info = request.info
        return {
            "project": request.project,
            "stack": request.stack,
            "organization": request.organization,
            "root_directory": info.root_directory,
            "pwd": request.pwd or info.program_directory,
            "program": str(Path(info.program_directory, info.entry_point)),
            "args": list(request.args),
            "config": dict(request.config),
            "config_secret_keys": list(request.configSecretKeys),
            "dry_run": request.dryRun,
            "parallel": request.parallel,
            "monitor": request.monitor_address,
            "engine": self._engine,
        }

    @override
    def Cancel(self, request: Any, context: Any) -> Any:
        self._programs.end()
        return empty_pb2.Empty()

    @override
    def RunPlugin(self, request: Any, context: Any) -> Iterator[Any]:
        """Run a plugin that is written in Python, streaming what it prints, then its exit status."""
        environment = _environment(request.info)
        program = str(Path(request.info.program_directory, request.info.entry_point))
        variables = {**environment.variables(), **dict(entry.split("=", 1) for entry in request.env)}
        process = _start([environment.interpreter, "-u", program, *request.args], request.pwd, variables)
        context.add_callback(process.terminate)
        for name, data in _output_of(process):
            yield (
                language_pb2.RunPluginResponse(stdout=data)
                if name == "stdout"
                else language_pb2.RunPluginResponse(stderr=data)
            )
        yield language_pb2.RunPluginResponse(exitcode=process.wait())

    @override
    def InstallDependencies(self, request: Any, context: Any) -> Iterator[Any]:
        """Make the virtual environment if there is none and install requirements.txt into it."""
        environment = _environment(request.info)
        folder = request.info.program_directory or request.directory
        commands = []
        if environment.folder and not Path(environment.folder).exists():
            commands.append([sys.executable, "-m", "venv", environment.folder])
        if Path(folder, "requirements.txt").exists():
            commands.append(
                [environment.expected_interpreter, "-m", "pip", "install", "-r", "requirements.txt"]
            )
        for command in commands:
            process = _start(command, folder, environment.variables())
            context.add_callback(process.terminate)
            for name, data in _output_of(process):
                yield (
                    language_pb2.InstallDependenciesResponse(stdout=data)
                    if name == "stdout"
                    else language_pb2.InstallDependenciesResponse(stderr=data)
                )
            if process.wait():
                context.abort(
                    grpc.StatusCode.UNKNOWN, f"`{' '.join(command)}` exited with status {process.returncode}"
                )

    @override
    def About(self, request: Any, context: Any) -> Any:
        environment = _environment(request.info)
        try:
            version = subprocess.run(
                [environment.interpreter, "-c", _PRINT_VERSION], capture_output=True, text=True, check=True
            ).stdout.strip()
        except EnvironmentMissing as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        return language_pb2.AboutResponse(executable=environment.interpreter, version=version)

    @override
    def GetProgramDependencies(self, request: Any, context: Any) -> Any:
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[
                language_pb2.DependencyInfo(name=name, version=version)
                for name, version in _environment(request.info).installed(request.transitiveDependencies)
            ]
        )

    @override
    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:
        """Ask nothing: the one option is the virtual environment, and Pulumi.yaml has it."""
        return language_pb2.RuntimeOptionsResponse()


def register(host: LanguageHost, server: grpc.Server) -> None:
    """Add the language host to a server."""
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)


def _environment(info: Any) -> Environment:
    return environment_of(info.root_directory, decode(info.options))


def _start(command: list[str], folder: str, variables: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        cwd=folder or None,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _output_of(process: "subprocess.Popen[bytes]") -> Iterator[tuple[str, bytes]]:
    """Yield ("stdout" or "stderr", data) as it comes, until both streams are closed."""
    queue: SimpleQueue[tuple[str, bytes]] = SimpleQueue()

    def read(name: str, stream: IO[bytes]) -> None:
        while data := os.read(stream.fileno(), _CHUNK):
            queue.put((name, data))
        queue.put((name, b""))

    for name, stream in (("stdout", process.stdout), ("stderr", process.stderr)):
        assert stream is not None
        threading.Thread(target=read, args=(name, stream), daemon=True).start()
    ended = 0
    while ended < 2:
        name, data = queue.get()
        if data:
            yield name, data
        else:
            ended += 1
