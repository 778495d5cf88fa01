#!/bin/bash
# What init does on a Docker host of the tests: sshd, and dockerd in the foreground.
set -eu
mkdir -p /run/sshd
[ -e /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
rm -f /var/run/docker.pid /var/run/docker/containerd/containerd.pid
/usr/sbin/sshd
# the daemon around this one keeps its containers' control groups under the usual name
exec dockerd --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent=/itqan-remote
