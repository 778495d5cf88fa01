# PHP USER ROOT [CONNECTION=QUEUE,…]…: what the application says of itself, asked with its own code as the web user; the program
# comes on standard input. Without PATH `about` does not start Composer for its version, which takes longer than all else.
php=$(command -v "$1") user=$2
cd "$3" 2>/dev/null || exit 0
shift 3
runuser -u "$user" -- env PATH=/nonexistent /usr/bin/timeout -s KILL 3 "${php:-/nonexistent}" -- "$@"
