# FOLDER: the newest dump of the database: when it was written, its size in bytes, its name
printf 'now %(%s)T\n' -1
find "$1" -maxdepth 2 -type f -name '*.sql*' -size +0 -printf 'backup %T@ %s %f\n' 2>/dev/null | sort -k 2 -n | tail -n 1
