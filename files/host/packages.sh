# Which packages the host has: only looks, like probes.sh. A file of its own, because images are built with it, too.

# is_version FOUND WANT: whether a package's version has the wanted upstream version, or one of its patch levels
is_version() { [ "${1#*:}" = "$2" ] || [[ ${1#*:} = "$2"[-+~.]* ]]; }

# probe_package NAME[=VERSION]…: installed packages; one of the wanted upstream version prints that version
probe_package() {
    local spec name want state
    declare -A installed=()
    while read -r name state; do installed[$name]=$state; done < <(
        dpkg-query -W -f='${Package} ${db:Status-Abbrev}${Version}\n' "${@%%=*}" 2>/dev/null | sed -n 's/^\([^ ]*\) [hi]i */\1 /p'
    )
    for spec; do
        name=${spec%%=*} want=
        if [[ $spec = *=* ]]; then want=${spec#*=}; fi
        state=${installed[$name]-absent}
        if [ "$state" != absent ] && { [ -z "$want" ] || is_version "$state" "$want"; }; then
            state=${want:-installed}
        fi
        printf 'package %s %s\n' "$name" "$state"
    done
}

# probe_held PACKAGE…: which of these are held (dpkg knows; apt-mark would read all package lists for it)
probe_held() {
    printf 'held%s\n' "$(dpkg-query -W -f='${db:Status-Want} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^hold / /p' | LC_ALL=C sort | tr -d '\n')"
}

# probe_keyring PATH: fingerprints of the keys in a keyring of apt
probe_keyring() {
    printf 'keyring %s%s\n' "$1" "$(gpg --batch --no-options --no-default-keyring --trust-model always --show-keys --with-colons "$1" 2>/dev/null | awk -F: \
        '$1 == "pub" {primary = 1} $1 == "fpr" && primary {print " " $10; primary = 0}' | LC_ALL=C sort | tr -d '\n')"
}

# probe_versions PACKAGE…: the installed ones with their versions; npm, which comes with Node.js, as one of them
probe_versions() {
    dpkg-query -W -f='${db:Status-Status} ${Package} ${Version}\n' "$@" 2>/dev/null | sed -n 's/^installed //p'
    sed -n 's/^  "version": "\([0-9.]*\)".*/npm \1/p' /usr/lib/node_modules/npm/package.json 2>/dev/null
}

# probe_withheld PACKAGE…: held packages with the newer version that apt would install; apt's caches stay as they are
probe_withheld() {
    local line held
    line=$(probe_held "$@")
    read -r -a held <<<"${line#held}"
    if ((${#held[@]} == 0)); then return; fi
    LC_ALL=C apt-cache -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= policy "${held[@]}" 2>/dev/null | awk '
        /^[^ ]/ {sub(/:$/, ""); name = $1}
        $1 == "Installed:" {installed = $2}
        $1 == "Candidate:" && $2 != installed && installed != "(none)" {print name, $2}'
}
