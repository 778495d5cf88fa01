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
    local store=/var/backups/itqan copy
    copy=$store/$(basename "$1").$(date +%Y%m%dT%H%M%S)
    if ! { install -d -m 700 "$store" && cp -a --backup=numbered "$1" "$copy"; }; then
        refuse "$1: no copy of it can be kept in $store (disk full?); it is untouched"
    fi
}

# place PATH OWNER:GROUP MODE [TEST…]: standard input becomes the file, in one rename; when the test then
# fails, the file that was there comes back and the test's own words are the error.
# What a killed run leaves has fixed names, so that the next one finds it: .NAME.itqan-new, perhaps half a file, is
# written anew; .NAME.itqan-before says that NAME has not passed its test yet (probe_file looks for it), and is the last
# one that has, or a link to nowhere where there was none.
place() {
    local path=$1 owner=$2 mode=$3 folder name new kept
    shift 3
    folder=$(dirname "$path") name=$(basename "$path")
    new=$folder/.$name.itqan-new kept=$folder/.$name.itqan-before
    if ! { mkdir -p "$folder" && write_beside "$new" "$owner" "$mode" && keep_last "$path" "$kept" "$#"; }; then
        rm -f "$new"
        refuse "$path: cannot be written (disk full?); the file that was there is untouched"
    fi
    if [ -f "$path" ] && ! cmp -s "$new" "$path" && ! grep -q 'managed by itqan' "$path" && ! (keep_copy "$path"); then
        rm -f "$new"
        exit 1
    fi
    mv -f "$new" "$path"
    if (($#)) && ! "$@" >&2; then
        if [ -L "$kept" ]; then rm -f "$path" "$kept"; else mv -f "$kept" "$path"; fi
        refuse "$path: refused by \`$*\`; the file that was there is back"
    fi
    rm -f "$kept"
}
# write_beside NEW OWNER:GROUP MODE: nobody else reads it before it is whole, and no link is followed
write_beside() {
    rm -f "$1"
    (umask 077 && set -o noclobber && cat >"$1") && chown "$2" "$1" && chmod "$3" "$1" && sync "$1"
}
# keep_last PATH KEPT TESTED: the file as it is, unless a killed run kept one before it
keep_last() {
    if ! (($3)) || [ -e "$2" ] || [ -L "$2" ]; then return; fi
    if ! [ -e "$1" ]; then
        ln -s nowhere "$2"
    elif ! { cp -a --remove-destination "$1" "$2-new" && mv -f "$2-new" "$2"; }; then
        rm -f "$2-new"
        return 1
    fi
}
