# Security updates that wait, held packages included: what the package lists of a security suite have in a newer version than the
# host; and how old the lists are. apt's own answer takes seconds where its cache has to be built first.
printf 'now %(%s)T\n' -1
folder=/var/lib/apt/lists
mapfile -t lists < <(compgen -G "$folder/*_Packages*")
if ((${#lists[@]} == 0)); then
    printf 'lists absent\n'
else
    stat -c %Y "$folder" "$folder/partial" /var/lib/apt/periodic/update-success-stamp 2>/dev/null | sort -n | tail -n 1 | sed 's/^/lists /'
    mapfile -t lists < <(compgen -G "$folder/*[-_]security_*_Packages*")
    for list in "${lists[@]}"; do /usr/lib/apt/apt-helper cat-file "$list" 2>/dev/null; done \
        | awk '
            NR == FNR {installed[$1] = $2; next}
            $1 == "Package:" {name = $2}
            $1 == "Version:" && name in installed && $2 != installed[name] {print name, installed[name], $2}' \
            <(dpkg-query -W -f='${db:Status-Abbrev} ${Package} ${Version}\n' | sed -n 's/^[hi]i *//p') - \
        | while read -r name installed newer; do
            if dpkg --compare-versions "$newer" gt "$installed"; then printf 'update %s\n' "$name"; fi
        done | LC_ALL=C sort -u
    printf 'suites %d\n' "${#lists[@]}"
fi
