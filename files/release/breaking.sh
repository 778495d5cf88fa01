# Migrations that the code which still runs may not bear: they run before the switch.

# tell_breaking COMMIT: those in PENDING, each with what its up() does
tell_breaking() {
    local name what found=''
    while read -r name; do
        what=$(deploy_git show "$1:database/migrations/$name.php" 2>/dev/null | breaks | paste -sd ';' | sed 's/;/; /g')
        if [ -n "$what" ]; then found+=$'\n'"    $name: $what"; fi
    done <<<"$PENDING"
    if [ -z "$found" ]; then return; fi
    say "release: between migrate and the switch ${FROM:0:12} still runs, and may fail on what these do; that is a guess from their source. To be sure, release \
code that does without it first, and the migration after it; or close the site meanwhile: php artisan down$found"
}

# breaks <SOURCE: what the up() of a migration does that older code may not bear, a line each
breaks() {
    # shellcheck disable=SC2016
    as "$WEB_USER" "$PHP" -r '
        $words = array_values(array_filter(token_get_all(stream_get_contents(STDIN)),
            fn ($word) => !is_array($word) || !in_array($word[0], [T_WHITESPACE, T_COMMENT, T_DOC_COMMENT])));
        $text = fn ($word) => is_array($word) ? $word[1] . (in_array($word[0], [T_NEW, T_RETURN, T_FUNCTION, T_FN, T_STATIC]) ? " " : "") : $word;
        $body = ""; $depth = 0;
        foreach ($words as $at => $word) {
            if ($depth === 0 && !(is_array($word) && $word[0] === T_FUNCTION && strtolower($words[$at + 1][1] ?? "") === "up")) continue;
            if ($depth === 0) { $depth = 1; continue; }
            if ($word === "{") $depth++;
            if ($word === "}" && --$depth === 1) break;
            $body .= $text($word);
        }
        $named = fn (string $list) => trim(preg_replace("/[\"\x27\[\]]/", "", $list));
        [$table, $new, $found] = ["a table", false, []];
        foreach (explode(";", $body) as $line) {
            if (preg_match("/(?:Schema::|->)(table|create)\(\s*([^,()]+),/", $line, $opened)) [$table, $new] = [$named($opened[2]), $opened[1] === "create"];
            if (preg_match("/(?:Schema::|Schema::[^;]*->)(drop|dropIfExists|rename)\(([^()]*)\)/", $line, $is))
                $found[] = ($is[1] === "rename" ? "renames" : "drops") . " the table " . $named(explode(",", $is[2])[0]);
            if (preg_match("/(?:DB::|->)(?:statement|unprepared)\(.*\b(ALTER|DROP|RENAME|TRUNCATE)\b/is", $line, $is))
                $found[] = "runs SQL of its own (" . strtoupper($is[1]) . ")";
            if ($new) continue;
            if (preg_match("/->(drop(?:Column|Columns|Timestamps|TimestampsTz|SoftDeletes|SoftDeletesTz|Morphs|RememberToken|ConstrainedForeignId\w*))\(([^()]*)/", $line, $is))
                $found[] = "drops a column of $table" . ($named($is[2]) === "" ? " (" . $is[1] . ")" : ": " . $named($is[2]));
            elseif (preg_match("/->renameColumn\(([^()]*)\)/", $line, $is)) $found[] = "renames a column of $table: " . $named($is[1]);
            elseif (preg_match("/->(?:unique|primary)\(/", $line)) $found[] = "wants values of $table to be unique";
            elseif (preg_match("/->change\(/", $line)) $found[] = "changes a column of $table";
            elseif (preg_match("/[\$]\w+->(\w+)\(([\"\x27]\w+[\"\x27])/", $line, $is)
                && preg_match("/^(char|string|\w*text|\w*integer|\w*increments|float|double|decimal|boolean|enum|set|jsonb?|date\w*|time\w*|year|binary|uuid|ulid|ipAddress|macAddress|foreign(Id|Ulid|Uuid)|(ulid|uuid|numeric)?morphs|geo\w+)$/i", $is[1])
                && !preg_match("/^(timestamps|\w*increments)/i", $is[1]) && !preg_match("/->(nullable|default|useCurrent|storedAs|virtualAs|generatedAs)\(/", $line))
                $found[] = "adds a column to $table that is neither nullable nor has a default: " . $named($is[2]);
        }
        foreach (array_unique($found) as $one) echo $one, "\n";'
}
