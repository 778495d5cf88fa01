# Processes that a signal has stopped: they are there, and do nothing.
ps -eo pid=,stat=,args= 2>/dev/null | awk '$2 ~ /^T/ {pid = $1; sub(/^ *[0-9]+ +[^ ]+ +/, ""); print "stopped", pid, $0}'
