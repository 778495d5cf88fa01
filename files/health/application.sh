# SECONDS PHP USER ROOT [CONNECTION=QUEUE,…]…: what the application says of itself, asked with its own code as the web user; the program
# comes on standard input. Without PATH `about` does not start Composer for its version, which takes longer than all else.
seconds=$1 php=$(command -v "$2") user=$3
cd "$4" 2>/dev/null || exit 0
shift 4
runuser -u "$user" -- env PATH=/nonexistent /usr/bin/timeout -s KILL "$seconds" "${php:-/nonexistent}" -- "$@"
