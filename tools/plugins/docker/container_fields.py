"""The properties of a Container (resource_docker_container of terraform-provider-docker 4)."""

from tools.plugins.docker.fields import LABELS, Field, Fields
from tools.plugins.docker.validation import at_least, is_absolute_path, is_base64, is_duration, matches

_NUMBER = matches(r"^\d+$")

_CAPABILITIES: Fields = {"adds": Field("set"), "drops": Field("set")}
_DEVICE_RATE: Fields = {"path": Field(required=True), "rate": Field("int", required=True)}
_DEVICE_REQUESTS: Fields = {
    "capabilities": Field("list"),
    "count": Field("int"),
    "deviceIds": Field("list"),
    "driver": Field(),
    "options": Field("map"),
}
_DEVICES: Fields = {"containerPath": Field(), "hostPath": Field(required=True), "permissions": Field()}
_HEALTHCHECK: Fields = {
    "interval": Field(default="0s", validator=is_duration),
    "retries": Field("int", default=0, validator=at_least(0)),
    "startInterval": Field(default="0s", validator=is_duration),
    "startPeriod": Field(default="0s", validator=is_duration),
    "tests": Field("list"),
    "timeout": Field(default="0s", validator=is_duration),
}
_HOSTS: Fields = {"host": Field(required=True), "ip": Field(required=True)}
_MOUNTS: Fields = {
    "bindOptions": Field(
        "object",
        {"propagation": Field(validator=matches("^(private|rprivate|shared|rshared|slave|rslave)$"))},
    ),
    "readOnly": Field("bool"),
    "source": Field(),
    "target": Field(required=True),
    "tmpfsOptions": Field("object", {"mode": Field("int"), "sizeBytes": Field("int")}),
    "type": Field(required=True, validator=matches("^(bind|volume|tmpfs)$")),
    "volumeOptions": Field(
        "object",
        {
            "driverName": Field(),
            "driverOptions": Field("map"),
            "labels": Field("set", LABELS),
            "noCopy": Field("bool"),
            "subpath": Field(),
        },
    ),
}
_NETWORK_DATA: Fields = {
    "gateway": Field(),
    "globalIpv6Address": Field(),
    "globalIpv6PrefixLength": Field("int"),
    "ipAddress": Field(),
    "ipPrefixLength": Field("int"),
    "ipv6Gateway": Field(),
    "macAddress": Field(),
    "networkName": Field(),
}
_NETWORKS: Fields = {
    "aliases": Field("set"),
    "driverOpts": Field("set"),
    "gwPriority": Field("int"),
    "ipv4Address": Field(),
    "ipv6Address": Field(),
    "linkLocalIps": Field("set"),
    "macAddress": Field(),
    "name": Field(required=True),
}
_PORTS: Fields = {
    "external": Field("int", computed=True),
    "internal": Field("int", required=True),
    "ip": Field(default="0.0.0.0"),  # the official plugin's default, and Docker's
    "protocol": Field(default="tcp"),
}
_ULIMITS: Fields = {
    "hard": Field("int", required=True),
    "name": Field(required=True),
    "soft": Field("int", required=True),
}
_UPLOADS: Fields = {
    "content": Field(),
    "contentBase64": Field(validator=is_base64),
    "executable": Field("bool", default=False),
    "file": Field(required=True),
    "group": Field(validator=_NUMBER),
    "owner": Field(validator=_NUMBER),
    "permissions": Field(validator=matches("^0?[0-7]{3,4}$")),
    "source": Field(),
    "sourceHash": Field(),
}
_VOLUMES: Fields = {
    "containerPath": Field(),
    "fromContainer": Field(),
    "hostPath": Field(validator=is_absolute_path),
    "readOnly": Field("bool"),
    "selinuxRelabel": Field(),
    "volumeName": Field(),
}

CONTAINER: Fields = {
    "attach": Field("bool", replaces=False, default=False),
    "bridge": Field(computed=True, output=True, replaces=False),
    "capabilities": Field("object", _CAPABILITIES),
    "cgroupParent": Field(),
    "cgroupnsMode": Field(),
    "command": Field("list", computed=True),
    "containerLogs": Field(computed=True, output=True, replaces=False),
    "containerReadRefreshTimeoutMilliseconds": Field("int", replaces=False, default=15000),
    "cpuPeriod": Field("int", replaces=False, validator=at_least(0)),
    "cpuQuota": Field("int", replaces=False, validator=at_least(0)),
    "cpuSet": Field(replaces=False, validator=matches(r"^\d+([,-]\d+)*$")),
    "cpuShares": Field("int", replaces=False, validator=at_least(0)),
    "cpus": Field(replaces=False, validator=matches(r"^\d*\.?\d+$")),
    "destroyGraceSeconds": Field("int", replaces=False),
    "deviceCgroupRules": Field("list"),
    "deviceReadBps": Field("list", _DEVICE_RATE),
    "deviceReadIops": Field("list", _DEVICE_RATE),
    "deviceRequests": Field("list", _DEVICE_REQUESTS),
    "deviceWriteBps": Field("list", _DEVICE_RATE),
    "deviceWriteIops": Field("list", _DEVICE_RATE),
    "devices": Field("set", _DEVICES),
    "dns": Field("set"),
    "dnsOpts": Field("set"),
    "dnsSearches": Field("set"),
    "domainname": Field(),
    "entrypoints": Field("list", computed=True),
    "envs": Field("set", computed=True),
    "exitCode": Field("int", computed=True, output=True, replaces=False),
    "gpus": Field(validator=matches(r"^(all|\d+)$")),
    "groupAdds": Field("set"),
    "healthcheck": Field("object", _HEALTHCHECK, computed=True, replaces=False),
    "hostname": Field(computed=True),
    "hosts": Field("set", _HOSTS, argument="host"),
    "image": Field(required=True),
    "init": Field("bool", computed=True, replaces=False),
    "ipcMode": Field(computed=True),
    "labels": Field("set", LABELS, computed=True),
    "logDriver": Field(computed=True),
    "logOpts": Field("map"),
    "logs": Field("bool", replaces=False, default=False),
    "maxRetryCount": Field("int", replaces=False),
    "memory": Field("int", replaces=False, validator=at_least(0)),
    "memoryReservation": Field("int", replaces=False, validator=at_least(0)),
    "memorySwap": Field("int", replaces=False, validator=at_least(-1)),
    "mounts": Field("set", _MOUNTS),
    "mustRun": Field("bool", replaces=False, default=True),
    "name": Field(required=True),
    "networkDatas": Field("list", _NETWORK_DATA, computed=True, output=True, replaces=False),
    "networkMode": Field(default="bridge"),
    "networksAdvanced": Field("set", _NETWORKS),
    "pidMode": Field(),
    "platform": Field(computed=True),
    "ports": Field("list", _PORTS),
    "privileged": Field("bool"),
    "publishAllPorts": Field("bool"),
    "readOnly": Field("bool", default=False),
    "removeVolumes": Field("bool", replaces=False, default=True),
    "restart": Field(
        replaces=False, default="no", validator=matches("^(no|on-failure|always|unless-stopped)$")
    ),
    "rm": Field("bool", replaces=False, default=False),
    "runtime": Field(computed=True),
    "securityOpts": Field("set", computed=True),
    "shmSize": Field("int", computed=True, validator=at_least(0)),
    "start": Field("bool", replaces=False, default=True),
    "stdinOpen": Field("bool", default=False),
    "stopSignal": Field(computed=True),
    "stopTimeout": Field("int", computed=True),
    "storageOpts": Field("map"),
    "sysctls": Field("map"),
    "tmpfs": Field("map", replaces=False),
    "tty": Field("bool", default=False),
    "ulimits": Field("set", _ULIMITS, argument="ulimit"),
    "uploads": Field("set", _UPLOADS, argument="upload"),
    "user": Field(computed=True),
    "usernsMode": Field(),
    "volumes": Field("set", _VOLUMES),
    "wait": Field("bool", replaces=False, default=False),
    "waitTimeout": Field("int", replaces=False, default=60),
    "workingDir": Field(computed=True),
}
