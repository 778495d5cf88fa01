# Memory and load of the machine, and its clock; a container has those of the machine that it is on.
printf 'clock %s\n' "$EPOCHREALTIME"
awk '/^(MemTotal|MemAvailable|SwapTotal|SwapFree):/ {sub(/:/, "", $1); printf "%s %.0f\n", $1, $2 * 1024}' /proc/meminfo
read -r one five fifteen _ </proc/loadavg
printf 'load %s %s %s\n' "$one" "$five" "$fifteen"
printf 'processors %s\n' "$(nproc)"
