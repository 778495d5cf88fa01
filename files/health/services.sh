# SERVICE…: whether systemd units are enabled and active
probe_service "$@"
