# Whose host this is: /etc/itqan/stack names the one stack that may change it.

# probe_owner: the stack that this host belongs to
probe_owner() {
    local owner
    owner=$(sed -n 's/^stack //p' /etc/itqan/stack 2>/dev/null)
    printf 'owner %s\n' "${owner:-none}"
}

# require_owner STACK: stop before anything is changed when the host belongs to another one
require_owner() {
    local found
    found=$(probe_owner)
    if [ "$found" = 'owner none' ] || [ "$found" = "owner $1" ]; then return; fi
    printf 'itqan: this host belongs to stack %s, not to %s; nothing was changed\n' "${found#owner }" "$1" >&2
    exit 1
}
