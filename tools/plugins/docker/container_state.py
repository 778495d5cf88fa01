"""From what the daemon tells of a container (GET /containers/ID/json) to its properties."""

from typing import Any

from tools.plugins.common.values import Properties
from tools.plugins.docker.container_request import MEGABYTE
from tools.plugins.docker.durations import duration

Found = dict[str, Any]


def properties(found: Found, known: Properties) -> Properties:
    """Return the properties that the daemon tells.

    Left out is what it does not tell in the program's words: environment and labels have the image's among
    them, the image may be named in several ways.

    Args:
        known: the state so far.
    """
    config, running = found["Config"], found["State"]["Running"]
    told = {
        **_host_properties(found["HostConfig"], known),
        **_network_properties(found["NetworkSettings"], known),
        "command": config["Cmd"] or [],
        "domainname": config["Domainname"],
        "entrypoints": config["Entrypoint"] or [],
        "healthcheck": _healthcheck(config.get("Healthcheck")),
        "hostname": config["Hostname"],
        "image": known.get("image") or config["Image"],
        "name": found["Name"].lstrip("/"),
        "platform": found["Platform"],
        "stdinOpen": config["OpenStdin"],
        "stopSignal": config.get("StopSignal") or "",
        "stopTimeout": config.get("StopTimeout") or 0,
        "tty": config["Tty"],
        "user": config["User"],
        "workingDir": config["WorkingDir"],
    }
    if running:
        return told
    # That it must run but does not is a difference, which the next update mends by starting it.
    return {**told, "exitCode": found["State"]["ExitCode"], "mustRun": False}


def _host_properties(host: Found, known: Properties) -> Properties:
    told = {
        "cpuSet": host["CpusetCpus"],
        "cpuShares": host["CpuShares"],
        "devices": [
            {
                "containerPath": device["PathInContainer"],
                "hostPath": device["PathOnHost"],
                "permissions": device["CgroupPermissions"],
            }
            for device in host["Devices"] or []
        ],
        "dns": host["Dns"] or [],
        "dnsOpts": host["DnsOptions"] or [],
        "dnsSearches": host["DnsSearch"] or [],
        "groupAdds": host["GroupAdd"] or [],
        "hosts": [
            {"host": name, "ip": address}
            for name, _, address in (entry.partition(":") for entry in host["ExtraHosts"] or [])
        ],
        "init": bool(host.get("Init")),
        "ipcMode": host["IpcMode"],
        "logDriver": host["LogConfig"]["Type"],
        "logOpts": host["LogConfig"]["Config"],
        "maxRetryCount": host["RestartPolicy"]["MaximumRetryCount"],
        "memory": host["Memory"] // MEGABYTE,
        "memoryReservation": host["MemoryReservation"] // MEGABYTE,
        "memorySwap": host["MemorySwap"] // MEGABYTE if host["MemorySwap"] > 0 else host["MemorySwap"],
        "pidMode": host["PidMode"],
        "privileged": host["Privileged"],
        "publishAllPorts": host["PublishAllPorts"],
        "readOnly": host["ReadonlyRootfs"],
        "restart": host["RestartPolicy"]["Name"],
        "rm": host["AutoRemove"],
        "runtime": host["Runtime"],
        "securityOpts": host["SecurityOpt"] or [],
        "shmSize": host["ShmSize"] // MEGABYTE,
        "sysctls": host.get("Sysctls"),
        "tmpfs": host.get("Tmpfs"),
        "ulimits": [
            {"hard": limit["Hard"], "name": limit["Name"], "soft": limit["Soft"]}
            for limit in host["Ulimits"] or []
        ],
        "usernsMode": host["UsernsMode"],
    }
    if host["CapAdd"] or host["CapDrop"]:
        told["capabilities"] = {"adds": host["CapAdd"] or [], "drops": host["CapDrop"] or []}
    # The daemon tells another container's id where the program may have named it.
    if not str(known.get("networkMode")).startswith("container:"):
        told["networkMode"] = host["NetworkMode"]
    return told


def _network_properties(settings: Found, known: Properties) -> Properties:
    return {
        "bridge": settings.get("Bridge") or "",
        "networkDatas": [_network_data(name, network) for name, network in settings["Networks"].items()],
        "ports": _ports(settings["Ports"] or {}, known.get("ports") or []),
    }


def _network_data(name: str, network: Found) -> Properties:
    return {
        "gateway": network["Gateway"],
        "globalIpv6Address": network["GlobalIPv6Address"],
        "globalIpv6PrefixLength": network["GlobalIPv6PrefixLen"],
        "ipAddress": network["IPAddress"],
        "ipPrefixLength": network["IPPrefixLen"],
        "ipv6Gateway": network["IPv6Gateway"],
        "macAddress": network["MacAddress"],
        "networkName": name,
    }


def _ports(told: dict[str, list[Found] | None], known: list[Properties]) -> list[Properties]:
    """Return the published ports, in the order of the program's list as far as they are in it."""
    ports: list[Properties] = []
    for port, bindings in told.items():
        internal, _, protocol = port.partition("/")
        ports.extend(
            {
                "external": int(binding["HostPort"]),
                "internal": int(internal),
                "ip": binding["HostIp"],
                "protocol": protocol,
            }
            for binding in bindings or []
        )
    order = {(port["internal"], port["protocol"], port["ip"]): index for index, port in enumerate(known)}

    def place(port: Properties) -> tuple[int, int, int]:
        key = (port["internal"], port["protocol"], port["ip"])
        return order.get(key, len(order)), port["internal"], port["external"]

    return sorted(ports, key=place)


def _healthcheck(told: Found | None) -> Properties | None:
    if not told:
        return None
    return {
        "interval": duration(told.get("Interval", 0)),
        "retries": told.get("Retries", 0),
        "startInterval": duration(told.get("StartInterval", 0)),
        "startPeriod": duration(told.get("StartPeriod", 0)),
        "tests": told.get("Test") or [],
        "timeout": duration(told.get("Timeout", 0)),
    }
