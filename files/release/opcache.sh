# OPcache keeps compiled files, and looks at each again after two seconds (opcache.revalidate_freq).

# refresh_opcache: what PHP-FPM has compiled is what is there now: in-place, files that changed are compiled anew; files of a release
# that no longer runs give their memory back, which otherwise fills up until nothing new is kept. FPM alone gets at that memory.
refresh_opcache() {
    local socket=/run/php/$PHP-fpm.sock file=/run/itqan-opcache.php said
    if ! [ -S "$socket" ]; then return; fi
    install -m 644 /dev/stdin "$file" <<'PHP'
<?php
[$site, $folders, $running] = [$_SERVER['ITQAN_SITE'], $_SERVER['ITQAN_FOLDERS'], $_SERVER['ITQAN_RUNNING']];
foreach (function_exists('opcache_get_status') ? array_keys((opcache_get_status() ?: [])['scripts'] ?? []) : [] as $script) {
    if (str_starts_with($script, "$running/")) {
        opcache_invalidate($script); // if it is older than the file
    } elseif (str_starts_with($script, "$site/") || str_starts_with($script, "$folders/")) {
        opcache_invalidate($script, true);
    }
}
echo 'itqan: done';
PHP
    # a request of FastCGI (https://fastcgi-archives.github.io/FastCGI_Specification.html), which the command line's PHP speaks here
    # shellcheck disable=SC2016
    said=$("$PHP" -r '
        [, $path, $file, $site, $folders, $running] = $argv;
        $socket = @stream_socket_client("unix://$path", $code, $reason, 5) or exit($reason);
        stream_set_timeout($socket, 10);
        $record = fn (int $type, string $body) => pack("CCnnCx", 1, $type, 1, strlen($body), 0) . $body;
        $parameters = "";
        foreach (["SCRIPT_FILENAME" => $file, "REQUEST_METHOD" => "GET", "ITQAN_SITE" => $site, "ITQAN_FOLDERS" => $folders,
            "ITQAN_RUNNING" => $running] as $name => $value) {
            $parameters .= pack("CN", strlen($name), strlen($value) | 1 << 31) . $name . $value;
        }
        fwrite($socket, $record(1, pack("nCx5", 1, 0)) . $record(4, $parameters) . $record(4, "") . $record(5, ""));
        echo stream_get_contents($socket);
    ' "$socket" "$file" "$SITE" "$FOLDERS" "$(readlink -f "$SITE")" 2>/dev/null | tr -d '\0' || true)
    rm -f "$file"
    [[ $said = *'itqan: done'* ]]
}

# forget_paths: FPM's processes remember to which folder the documented path led at some time (realpath_cache_ttl), and OPcache to which
# file (opcache.revalidate_path is off). Releases need neither, as nginx asks for their own folders; but as soon as it asks for the documented
# path again, they would run a release of before, and find nothing when that is gone. FPM anew knows of what is there alone; requests come
# to their end, or wait. Non-zero when it does not get there.
forget_paths() {
    local children
    if ! systemctl is-active -q "$PHP-fpm"; then return; fi
    children=$(pgrep -P "$(systemctl show -p MainPID --value "$PHP-fpm")" || true)
    # shellcheck disable=SC2086 # numbers
    systemctl reload "$PHP-fpm" && wait_until 60 all_gone $children
}
