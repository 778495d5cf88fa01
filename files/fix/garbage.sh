# What can be made again, or nobody keeps: by kind, so that what is told is what is removed.

# garbage KIND ROOT HOME ACTION…: find's action on each file; no link is followed
garbage() {
    local kind=$1 root=$2 home=$3
    shift 3
    case $kind in
        apt) find /var/cache/apt{,/archives{,/partial}} -maxdepth 1 -type f \( -name '*.deb' -o -name '*.bin' \) "$@" ;;
        composer) find "$home"/.cache/composer "$home"/.composer/cache /root/.cache/composer /root/.composer/cache -xdev -type f "$@" ;;
        npm) find "$home"/.npm/_cacache "$home"/.npm/_logs /root/.npm/_cacache /root/.npm/_logs -xdev -type f "$@" ;;
        # no rule of the platforms keeps a log longer than twelve weeks but apt's and dpkg's, which stay
        logs) find /var/log "$root/storage/logs" -xdev -type f -mtime +100 -regextype posix-extended -not -path '/var/log/apt/*' \
            -not -path '/var/log/journal/*' -not -name 'dpkg.log*' -regex '.*(\.[0-9]+|[.-][0-9]{8})?(\.(gz|xz|bz2|zst))|.*\.log\.[0-9]+' "$@" ;;
        git) find "$root/.git/objects" -xdev -type f \( -name 'tmp_obj_*' -o -name 'tmp_pack_*' \) -mtime +0 "$@" ;;
    esac 2>/dev/null || true # not every host has all of these folders
}
