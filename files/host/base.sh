# What every apply may use: words for the person who reads, waiting, whole files.

# say TEXT: a line of progress, to standard error so that standard output stays the unit's answer
say() { printf '%s\n' "$*" >&2; }

# refuse TEXT: stop with one clear line
refuse() { say "itqan: $*"; exit 1; }

# wait_until SECONDS COMMAND…: poll every tenth of a second; non-zero when the deadline passes
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= deadline)); then return 1; fi
        sleep 0.1
    done
}

# set_aside PATH…: what this stack does not know is moved out of the way, never deleted
set_aside() {
    local path store=/var/backups/itqan
    for path; do
        if [ ! -e "$path" ] && [ ! -L "$path" ]; then continue; fi
        mkdir -p "$store"
        say "$path is not of this stack: moved to $store"
        mv -T --backup=numbered "$path" "$store/$(basename "$path").$(date +%Y%m%dT%H%M%S)"
    done
}

# keep_copy FILE: what somebody else wrote is kept before it is replaced
keep_copy() {
    install -d -m 700 /var/backups/itqan
    cp -a --backup=numbered "$1" "/var/backups/itqan/$(basename "$1").$(date +%Y%m%dT%H%M%S)"
}

# place PATH OWNER:GROUP MODE [TEST…]: standard input becomes the file, in one rename; when the test then
# fails, the file that was there comes back and the test's own words are the error
place() {
    local path=$1 owner=$2 mode=$3 folder new kept
    shift 3
    folder=$(dirname "$path")
    mkdir -p "$folder"
    new=$(mktemp "$folder/.itqan.XXXXXXXX")
    if ! { cat >"$new" && chown "$owner" "$new" && chmod "$mode" "$new" && sync "$new"; }; then
        rm -f "$new"
        refuse "$path: cannot be written (disk full?); the file that was there is untouched"
    fi
    if [ -f "$path" ] && ! cmp -s "$new" "$path" && ! grep -q 'managed by itqan' "$path"; then keep_copy "$path"; fi
    # under a fixed name: after a run that was killed before the test, this still is the last file that passed it
    kept=$folder/.itqan-before.$(basename "$path")
    if (($#)) && [ -e "$path" ] && ! [ -e "$kept" ]; then
        cp -a --remove-destination "$path" "$kept.new"
        mv -f "$kept.new" "$kept"
    fi
    mv -f "$new" "$path"
    if (($#)) && ! "$@" >&2; then
        if [ -e "$kept" ]; then mv -f "$kept" "$path"; else rm -f "$path"; fi
        refuse "$path: refused by \`$*\`; the file that was there is back"
    fi
    rm -f "$kept"
}
