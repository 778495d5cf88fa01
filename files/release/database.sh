# What a release does to the database: migrations, and the seeds of a new one.

# pending_of COMMIT: names of the commit's migrations that the database does not have yet
pending_of() {
    comm -23 \
        <(deploy_git ls-tree --name-only "$1" database/migrations/ | sed -n 's|.*/\(.*\)\.php$|\1|p' | sort) \
        <(sql "SELECT migration FROM \`$DATABASE\`.migrations" | sort)
}

# pending_now: the same as the application itself says it of what is checked out, with those of its packages; fails where it
# cannot say, as in a database without any table
pending_now() {
    local shown
    shown=$(cd "$ROOT" && as "$WEB_USER" "$PHP" artisan migrate:status --no-ansi --no-interaction 2>/dev/null) || return
    sed -nE 's/^ *([^ ]+) .* Pending *$/\1/p' <<<"$shown"
}

# is_reversible <SOURCE: whether a migration has a down() that does something. Laravel takes one without it for reversed.
is_reversible() {
    # shellcheck disable=SC2016
    as "$WEB_USER" "$PHP" -r '
        $words = array_values(array_filter(token_get_all(stream_get_contents(STDIN)),
            fn ($word) => !is_array($word) || !in_array($word[0], [T_WHITESPACE, T_COMMENT, T_DOC_COMMENT])));
        foreach ($words as $at => $word) {
            if (!is_array($word) || $word[0] !== T_FUNCTION || strtolower($words[$at + 1][1] ?? "") !== "down") continue;
            while ($words[$at] !== "{") $at++;
            [$first, $second] = [$words[$at + 1], $words[$at + 2] ?? ""];
            $kind = is_array($first) ? $first[0] : $first;
            exit($kind === "}" || $kind === T_THROW || ($kind === T_RETURN && $second === ";") ? 1 : 0);
        }
        exit(1);'
}

# structure: a digest of everything in the database but its rows
structure() { dump_database --no-data --skip-comments | sed 's/ AUTO_INCREMENT=[0-9]*//' | sha256sum | cut -d' ' -f1; }

migrate() {
    local pending
    step 6 "migrate"
    if [ -n "$FRESH" ]; then
        migrate_anew
        return
    fi
    note_seeds
    if pending=$(pending_now) && [ -z "$pending" ]; then
        say "release: no migration is pending"
    else
        if [ "$(probe_data "$DATABASE")" != "data of $DATABASE none" ]; then back_up "$FROM"; fi
        if [ -z "$pending" ]; then pending=$PENDING; fi
        note STRUCTURE "$(structure)"
        note MIGRATIONS "${pending//$'\n'/ }"
        artisan migrate --force
    fi
    if [ -e /etc/itqan/seeds-due ]; then seed; fi
}

migrate_anew() {
    if [ "$(probe_data "$DATABASE")" != "data of $DATABASE none" ]; then back_up "$FROM"; fi
    note MIGRATIONS all
    note FRESH yes
    artisan migrate:fresh --force
}

# note_seeds: a database without any table is new, so its seeds are due; kept as a file, for a run may be killed in between
note_seeds() {
    if [ "${SEEDS-no}" = yes ] && [ "$(probe_data "$DATABASE")" = "data of $DATABASE none" ]; then : >/etc/itqan/seeds-due; fi
}

seed() {
    STEP="seed the database"
    if [ -e "$ROOT/database/seeders/DatabaseSeeder.php" ]; then
        artisan db:seed --force --no-interaction
    else
        say "release: this application has no database/seeders/DatabaseSeeder.php: nothing to seed"
    fi
    rm -f /etc/itqan/seeds-due
}
