# PATH…: the file systems that hold these: mount point, size and what is free of it (bytes, as users can have it), and inodes
df --output=target,size,avail,itotal,iavail -B1 -- "$@" 2>/dev/null | tail -n +2 | LC_ALL=C sort -u | sed 's/^/filesystem /'
