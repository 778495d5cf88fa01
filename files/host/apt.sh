# Packages and what is fetched: every source with a pinned key, every file with a pinned digest.

# apt_get WORD…: apt without questions; waits for another dpkg instead of failing
apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=900 -o Acquire::Retries=3 \
        -o Dpkg::Options::=--force-confold -o APT::Sandbox::User=root "$@" </dev/null >&2
}

# unlocked COMMAND…: again, for 15 minutes, while another process has one of the locks that apt and dpkg do not wait for
# themselves (package lists, archives, dpkg's own); what the command says goes to standard error
unlocked() {
    local deadline=$((SECONDS + 900)) code words
    words=$(mktemp)
    while true; do
        code=0
        "$@" >"$words" 2>&1 </dev/null || code=$?
        if ((code == 0 || SECONDS >= deadline)) || ! grep -qiE 'get lock|was locked|status database is locked' "$words"; then break; fi
        sleep 0.5
    done
    cat "$words" >&2
    rm -f "$words"
    return "$code"
}

# apt_update: the lists of every package source
apt_update() {
    if ! unlocked apt_get update; then
        refuse "packages: the lists of the package sources cannot be fetched or are not signed by the pinned keys: apt's words stand above"
    fi
}

# apt_bootstrap: what fetching a key needs
apt_bootstrap() {
    if command -v curl >/dev/null && command -v gpg >/dev/null && [ -d /etc/ssl/certs ]; then return; fi
    apt_update
    apt_get install --no-install-recommends curl gnupg ca-certificates
}

# apt_install PACKAGE[=VERSION]…: those that are missing or of another version, in one transaction. Nothing is upgraded
# that the transaction does not need.
apt_install() {
    local needed specs
    # what a killed run left half configured
    unlocked dpkg --force-confold --configure -a
    mapfile -t needed < <(needed_packages "$@")
    if ((${#needed[@]} == 0)); then return; fi
    refuse_foreign_holds "${needed[@]}"
    say "packages: apt update, then one transaction for ${needed[*]}"
    apt_update
    refuse_candidates "${needed[@]}"
    mapfile -t specs < <(same_builds "$(versioned "$@")" "${needed[@]}")
    release_holds
    if ! NEEDRESTART_MODE=l unlocked apt_get install --no-install-recommends --allow-downgrades "${specs[@]}"; then
        restore_holds
        refuse "packages: apt could not install ${needed[*]}: its words stand above; another run continues"
    fi
}

# needed_packages PACKAGE[=VERSION]…: those that the host has not got
needed_packages() {
    paste -d ' ' <(printf '%s\n' "$@") <(probe_package "$@") \
        | awk '{split($1, word, "="); want = word[2] == "" ? "installed" : word[2]} $4 != want {print $1}'
}

# versioned PACKAGE[=VERSION]…: the names of those whose version counts, on one line
versioned() {
    local spec names=''
    for spec; do
        if [[ $spec = *=* ]]; then names+=" ${spec%%=*}"; fi
    done
    printf '%s\n' "$names"
}

# refuse_foreign_holds PACKAGE[=VERSION]…: what somebody else holds at another version is theirs to let go
refuse_foreign_holds() {
    local spec name refused=''
    for spec; do
        name=${spec%%=*}
        if [ "$(probe_held "$name")" = "held $name" ] && ! grep -qsxF -- "$name" "$HOLDS"; then
            refused+="$name is held at $(dpkg-query -W -f='${Version}' "$name"), the settings ask for $spec; \
to let this stack change it: apt-mark unhold $name. "
        fi
    done
    if [ -n "$refused" ]; then refuse "packages: ${refused% }"; fi
}

# refuse_candidates PACKAGE[=VERSION]…: before anything changes, whether apt would take the wanted versions
refuse_candidates() {
    local spec name candidate refused=''
    declare -A candidates=()
    while read -r name candidate; do candidates[$name]=$candidate; done < <(
        apt-cache policy "${@%%=*}" | awk '/^[^ ]/ {sub(/:$/, ""); name = $1} $1 == "Candidate:" && $2 != "(none)" {print name, $2}'
    )
    for spec; do
        name=${spec%%=*}
        candidate=${candidates[$name]-}
        if [ -z "$candidate" ]; then
            refused+="$name is in none of the package sources. "
        elif [[ $spec = *=* ]] && ! is_version "$candidate" "${spec#*=}"; then
            refused+="$name: the package sources have $candidate, the settings ask for ${spec#*=}. "
        fi
    done
    if [ -n "$refused" ]; then
        refuse "packages: ${refused}Nothing was installed. See \`apt-cache policy\`; versions are itqan:software, sources files/platforms/"
    fi
}

# same_builds NAMES PACKAGE[=VERSION]…: each package for apt; with the very version of its source that the host has of
# one of NAMES, where the archive still has it, so that a missing extension does not upgrade what runs
same_builds() {
    local spec name version names
    declare -A same=()
    read -r -a names <<<"$1"
    shift
    while read -r name version; do same[$name]=$version; done < <(
        awk 'NR == FNR {if ($1 == "installed") build[$2 " " $3]; next}
            /^Package: / {name = source = $2; origin = ""}
            /^Source: / {source = $2; origin = substr($3, 2, length($3) - 2)}
            /^Version: / {version = $2}
            /^$/ && ((source " " (origin == "" ? version : origin)) in build) {print name, version}' \
            <(dpkg-query -W -f='${db:Status-Status} ${source:Package} ${source:Version}\n' "${names[@]:-}" 2>/dev/null) \
            <(apt-cache show "${@%%=*}" 2>/dev/null)
    )
    for spec; do
        name=${spec%%=*}
        version=${same[$name]-}
        if [ -n "$version" ] && { [ "$name" = "$spec" ] || is_version "$version" "${spec#*=}"; }; then name+="=$version"; fi
        printf '%s\n' "$name"
    done
}

# The packages that this stack holds; a hold of any other is somebody else's.
HOLDS=/var/lib/itqan/holds

# hold_packages PACKAGE…: an upgrade of the host leaves them alone; what was held before and is not named goes free
hold_packages() {
    release_holds
    unlocked apt-mark -q hold "$@"
    printf '%s\n' '# managed by itqan: packages that it holds' "$@" | place "$HOLDS" root:root 644
}

# release_holds, restore_holds: for as long as a transaction of our own takes
release_holds() { own_holds unhold; }
restore_holds() { own_holds hold; }
own_holds() {
    local names
    if ! [ -e "$HOLDS" ]; then return; fi
    mapfile -t names < <(grep -v '^#' "$HOLDS")
    unlocked apt-mark -q "$1" "${names[@]}" || true # one that no source knows any more cannot be held
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
        # the answer has to be this one key: a second one in it would be trusted, too
        found=$(probe_keyring "$folder/key")
        found=${found#"keyring $folder/key"}
        if [ "$found" != " $1" ]; then refuse "$2: the key has the fingerprint${found:- none}, not the pinned $1"; fi
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
