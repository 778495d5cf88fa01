"""From the properties of a Container to what the daemon's API takes (POST /containers/create)."""

import base64
import io
import tarfile
import time
from pathlib import Path
from typing import Any

from tools.plugins.common.values import Properties
from tools.plugins.docker.daemon import DockerError
from tools.plugins.docker.durations import nanoseconds
from tools.plugins.docker.labels import label_map

MEGABYTE = 1024 * 1024
_BILLION = 10**9  # the daemon counts processors in billionths
Request = dict[str, Any]


def creation(planned: Properties) -> Request:
    """Return the body of a create request.

    Args:
        planned: properties, None where the daemon chooses.

    Raises:
        DockerError: a word of the command is empty.
    """
    if "" in (planned["command"] or []):
        raise DockerError("values for command may not be empty")
    request = {
        "Image": planned["image"],
        "Hostname": planned["hostname"],
        "Domainname": planned["domainname"],
        "User": planned["user"],
        "Tty": planned["tty"],
        "OpenStdin": planned["stdinOpen"],
        "Env": sorted(planned["envs"] or []),
        "Cmd": planned["command"],
        "Entrypoint": planned["entrypoints"],
        "WorkingDir": planned["workingDir"],
        "Labels": label_map(planned["labels"]),
        "StopSignal": planned["stopSignal"],
        "StopTimeout": planned["stopTimeout"],
        "Healthcheck": _healthcheck(planned["healthcheck"]),
        "ExposedPorts": {_port(port): {} for port in planned["ports"]},
        "Volumes": {volume["containerPath"]: {} for volume in planned["volumes"] if _is_anonymous(volume)},
        "HostConfig": _given(_host_config(planned)),
        "NetworkingConfig": {
            "EndpointsConfig": {
                network["name"]: endpoint(network) for network in planned["networksAdvanced"][:1]
            }
        },
    }
    return _given(request)


def _given(request: Request) -> Request:
    return {name: value for name, value in request.items() if value not in (None, "", [], {})}


def _host_config(planned: Properties) -> Request:
    capabilities = planned["capabilities"] or {}
    return {
        **_resources(planned),
        "AutoRemove": planned["rm"],
        "Binds": [bind for bind in map(_bind, planned["volumes"]) if bind],
        "CapAdd": sorted(capabilities.get("adds") or []),
        "CapDrop": sorted(capabilities.get("drops") or []),
        "CgroupParent": planned["cgroupParent"],
        "CgroupnsMode": planned["cgroupnsMode"],
        "Dns": planned["dns"],
        "DnsOptions": planned["dnsOpts"],
        "DnsSearch": planned["dnsSearches"],
        "ExtraHosts": [f"{host['host']}:{host['ip']}" for host in planned["hosts"]],
        "GroupAdd": planned["groupAdds"],
        "Init": planned["init"],
        "IpcMode": planned["ipcMode"],
        "LogConfig": _given({"Type": planned["logDriver"], "Config": planned["logOpts"]}),
        "Mounts": [_mount(mount) for mount in planned["mounts"]],
        "NetworkMode": planned["networkMode"],
        "PidMode": planned["pidMode"],
        "PortBindings": _port_bindings(planned["ports"]),
        "Privileged": planned["privileged"],
        "PublishAllPorts": planned["publishAllPorts"],
        "ReadonlyRootfs": planned["readOnly"],
        "RestartPolicy": restart_policy(planned),
        "Runtime": planned["runtime"],
        "SecurityOpt": sorted(planned["securityOpts"] or []),
        "ShmSize": (planned["shmSize"] or 0) * MEGABYTE or None,
        "StorageOpt": planned["storageOpts"],
        "Sysctls": planned["sysctls"],
        "Tmpfs": planned["tmpfs"],
        "UsernsMode": planned["usernsMode"],
        "VolumesFrom": [_volumes_from(volume) for volume in planned["volumes"] if volume["fromContainer"]],
    }


def _resources(planned: Properties) -> Request:
    rates = {
        "BlkioDeviceReadBps": "deviceReadBps",
        "BlkioDeviceReadIOps": "deviceReadIops",
        "BlkioDeviceWriteBps": "deviceWriteBps",
        "BlkioDeviceWriteIOps": "deviceWriteIops",
    }
    return {
        **limits(planned),
        **{
            name: [{"Path": rate["path"], "Rate": rate["rate"]} for rate in planned[field]]
            for name, field in rates.items()
        },
        "CpuPeriod": planned["cpuPeriod"],
        "CpuQuota": planned["cpuQuota"],
        "DeviceCgroupRules": planned["deviceCgroupRules"],
        "DeviceRequests": [*map(_device_request, planned["deviceRequests"]), *_gpus(planned["gpus"])],
        "Devices": [_device(device) for device in planned["devices"]],
        "NanoCpus": round(float(planned["cpus"]) * _BILLION) if planned["cpus"] else None,
        "Ulimits": [
            {"Name": limit["name"], "Soft": limit["soft"], "Hard": limit["hard"]}
            for limit in planned["ulimits"]
        ],
    }


def limits(planned: Properties) -> Request:
    """Return the limits that can change while the container is there; 0 is none."""
    swap = planned["memorySwap"] or 0
    return {
        "CpuShares": planned["cpuShares"] or 0,
        "CpusetCpus": planned["cpuSet"] or "",
        "Memory": (planned["memory"] or 0) * MEGABYTE,
        "MemoryReservation": (planned["memoryReservation"] or 0) * MEGABYTE,
        "MemorySwap": swap * MEGABYTE if swap > 0 else swap,
    }


def restart_policy(planned: Properties) -> Request:
    """Return when the daemon starts the container again."""
    return {"Name": planned["restart"], "MaximumRetryCount": planned["maxRetryCount"] or 0}


def endpoint(network: Properties) -> Request:
    """Return how the container is attached to a network."""
    addresses = _given(
        {
            "IPv4Address": network["ipv4Address"],
            "IPv6Address": network["ipv6Address"],
            "LinkLocalIPs": network["linkLocalIps"],
        }
    )
    return _given(
        {
            "IPAMConfig": addresses,
            "Aliases": network["aliases"],
            "DriverOpts": dict(option.partition("=")[::2] for option in network["driverOpts"]),
            "GwPriority": network["gwPriority"],
            "MacAddress": network["macAddress"],
        }
    )


def _healthcheck(healthcheck: Properties | None) -> Request | None:
    if not healthcheck:
        return None
    return {
        "Test": healthcheck["tests"],
        "Interval": nanoseconds(healthcheck["interval"]),
        "Timeout": nanoseconds(healthcheck["timeout"]),
        "StartPeriod": nanoseconds(healthcheck["startPeriod"]),
        "StartInterval": nanoseconds(healthcheck["startInterval"]),
        "Retries": healthcheck["retries"] or 0,
    }


def _port(port: Properties) -> str:
    return f"{port['internal']}/{port['protocol']}"


def _port_bindings(ports: list[Properties]) -> Request:
    bindings: dict[str, list[Request]] = {}
    for port in ports:
        # No number lets the daemon choose one.
        number = str(port["external"]) if port["external"] else ""
        bindings.setdefault(_port(port), []).append({"HostIp": port["ip"], "HostPort": number})
    return bindings


def _is_anonymous(volume: Properties) -> bool:
    return bool(volume["containerPath"]) and not (volume["hostPath"] or volume["volumeName"])


def _bind(volume: Properties) -> str:
    source = volume["hostPath"] or volume["volumeName"]
    if not source:
        return ""
    options = ["ro" if volume["readOnly"] else "rw", *filter(None, [volume["selinuxRelabel"]])]
    return f"{source}:{volume['containerPath']}:{','.join(options)}"


def _volumes_from(volume: Properties) -> str:
    return f"{volume['fromContainer']}:{'ro' if volume['readOnly'] else 'rw'}"


def _device(device: Properties) -> Request:
    return {
        "PathOnHost": device["hostPath"],
        "PathInContainer": device["containerPath"] or device["hostPath"],
        "CgroupPermissions": device["permissions"] or "rwm",
    }


def _device_request(request: Properties) -> Request:
    return _given(
        {
            "Driver": request["driver"],
            "Count": request["count"],
            "DeviceIDs": request["deviceIds"],
            "Capabilities": [request["capabilities"]] if request["capabilities"] else None,
            "Options": request["options"],
        }
    )


def _gpus(gpus: str | None) -> list[Request]:
    if not gpus:
        return []
    return [{"Count": -1 if gpus == "all" else int(gpus), "Capabilities": [["gpu"]]}]


def _mount(mount: Properties) -> Request:
    request = {
        "Type": mount["type"],
        "Target": mount["target"],
        "Source": mount["source"],
        "ReadOnly": bool(mount["readOnly"]),
    }
    bind, volume, tmpfs = mount["bindOptions"], mount["volumeOptions"], mount["tmpfsOptions"]
    if mount["type"] == "bind" and bind:
        request["BindOptions"] = _given({"Propagation": bind["propagation"]})
    elif mount["type"] == "volume" and volume:
        driver = _given({"Name": volume["driverName"], "Options": volume["driverOptions"]})
        request["VolumeOptions"] = _given(
            {
                "NoCopy": volume["noCopy"],
                "Labels": label_map(volume["labels"]),
                "DriverConfig": driver,
                "Subpath": volume["subpath"],
            }
        )
    elif mount["type"] == "tmpfs" and tmpfs:
        request["TmpfsOptions"] = _given({"SizeBytes": tmpfs["sizeBytes"], "Mode": tmpfs["mode"]})
    return request


def upload_archive(uploads: list[Properties]) -> bytes:
    """Return files to put into the container, as a tar archive of its root directory.

    Raises:
        DockerError: an upload has no content, or more than one.
    """
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for upload in uploads:
            content = _content(upload)
            entry = tarfile.TarInfo(upload["file"].lstrip("/"))
            entry.size = len(content)
            entry.mode = _mode(upload)
            entry.mtime = int(time.time())
            entry.uid, entry.gid = int(upload["owner"] or 0), int(upload["group"] or 0)
            archive.addfile(entry, io.BytesIO(content))
    return data.getvalue()


def _mode(upload: Properties) -> int:
    if upload["permissions"]:
        return int(upload["permissions"], 8)
    return 0o744 if upload["executable"] else 0o644


def _content(upload: Properties) -> bytes:
    given = [name for name in ("content", "contentBase64", "source") if upload[name]]
    if len(given) != 1:
        expected = "only one of" if given else "one of"
        verb = "can" if given else "must"
        raise DockerError(
            f"error with upload content: {expected} 'content', 'content_base64', or 'source' {verb} be set"
        )
    if upload["content"]:
        return str(upload["content"]).encode()
    if upload["contentBase64"]:
        return base64.b64decode(upload["contentBase64"])
    try:
        return Path(upload["source"]).read_bytes()
    except OSError as error:
        raise DockerError(f"could not read file: {error}") from error
