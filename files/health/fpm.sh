# SOCKET: requests that PHP-FPM answers now, and those that wait because all of its processes are busy. nginx makes one
# connection for each request; what nobody has accepted yet is in the listening socket's queue.
waiting=$(ss -Hxl src "$1" 2>/dev/null | awk '{print $3; exit}')
if [ -z "$waiting" ]; then
    printf 'socket absent\n'
else
    printf 'waiting %s\nconnections %s\n' "$waiting" "$(ss -Hx state established src "$1" 2>/dev/null | wc -l)"
fi
