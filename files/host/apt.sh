# Packages and what is fetched: every source with a pinned key, every file with a pinned digest.

# apt_get WORD…: apt without questions; waits for another dpkg instead of failing
apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=900 -o Acquire::Retries=3 \
        -o Dpkg::Options::=--force-confold -o APT::Sandbox::User=root "$@" </dev/null >&2
}

# apt_bootstrap: what fetching a key needs
apt_bootstrap() {
    if command -v curl >/dev/null && command -v gpg >/dev/null && [ -d /etc/ssl/certs ]; then return; fi
    apt_get update
    apt_get install --no-install-recommends curl gnupg ca-certificates
}

# apt_install PACKAGE…: one transaction, after the lists are fresh
apt_install() {
    say "packages: apt update, then one transaction of $# packages"
    # what a killed run left half configured; the lock of the package lists is one that apt does not wait for itself
    DEBIAN_FRONTEND=noninteractive dpkg --force-confold --configure -a </dev/null >&2
    if ! wait_until 900 apt_get update; then apt_get update; fi
    NEEDRESTART_MODE=l apt_get install --no-install-recommends --allow-downgrades --allow-change-held-packages "$@"
}

# own_source FILE URI: other entries for the same source go aside; two with another Signed-By stop apt altogether
own_source() {
    local path
    for path in /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        if [ "$path" != "$1" ] && grep -qsF -- "${2#*://}" "$path"; then set_aside "$path"; fi
    done
}

# fetch URL: to standard output; follows https only
fetch() { curl -fsSL --proto '=https' --tlsv1.2 --retry 3 --connect-timeout 15 "$1"; }

# fetch_keyring PATH FINGERPRINT URL…: keys of a package source, each accepted only with its fingerprint
fetch_keyring() {
    local path=$1 folder found
    shift
    folder=$(mktemp -d)
    while (($#)); do
        if ! fetch "$2" >"$folder/key"; then refuse "$2: the signing key cannot be fetched"; fi
        found=$(gpg --batch --show-keys --with-colons "$folder/key" 2>/dev/null | awk -F: '$1 == "fpr" {print $10; exit}')
        if [ "$found" != "$1" ]; then refuse "$2: the key has the fingerprint ${found:-none}, not the pinned $1"; fi
        gpg --batch --homedir "$folder" --dearmor <"$folder/key" >>"$folder/keyring" 2>/dev/null || cat "$folder/key" >>"$folder/keyring"
        shift 2
    done
    mkdir -p "$(dirname "$path")"
    place "$path" root:root 644 <"$folder/keyring"
    rm -rf "$folder"
}

# fetch_file PATH MODE SHA256 URL: a file, accepted only with its digest
fetch_file() {
    local new
    new=$(mktemp)
    if ! fetch "$4" >"$new"; then refuse "$4: cannot be fetched"; fi
    if ! printf '%s  %s\n' "$3" "$new" | sha256sum -c --quiet - >&2; then refuse "$4: its digest is not the pinned one"; fi
    place "$1" root:root "$2" <"$new"
    rm -f "$new"
}
