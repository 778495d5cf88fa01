# LINEAGE: from when until when a certificate is valid, and its digest
file=/etc/letsencrypt/live/$1/cert.pem
{ IFS='=' read -r _ from && IFS='=' read -r _ until && IFS='=' read -r _ digest; } \
    < <(openssl x509 -in "$file" -noout -dates -fingerprint -sha256 2>/dev/null)
if [ -z "${digest-}" ]; then
    printf 'certificate absent\n'
else
    printf 'from %s\nuntil %s\ndigest %s\n' "$(date -d "$from" +%s)" "$(date -d "$until" +%s)" "${digest//:/}"
fi
