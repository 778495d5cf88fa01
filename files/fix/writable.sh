# ROOT USER LOGS PATH…: what the user of all of the application's processes cannot write or enter below the writable folders
# but LOGS, which Supervisor writes as root; and whether it can read .env
root=$1 user=$2 logs=()
for log in $3; do logs+=(-not -path "$log*"); done
shift 3
cd "$root" 2>/dev/null || exit 0
runuser -u "$user" -- find -H "$@" \( -type f -o -type d \) -not -name '.git*' "${logs[@]}" \( -not -writable -o -type d -not -executable \) \
    -printf 'closed %p %u:%g %m\n' 2>/dev/null | head -n 6
if [ -e .env ] && ! runuser -u "$user" -- test -r .env; then printf 'closed .env %s\n' "$(stat -c '%U:%G %a' .env)"; fi
printf 'end\n'
