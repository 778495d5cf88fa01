# What nginx says of its configuration.
if said=$(nginx -t 2>&1); then printf 'test ok\n'; else printf 'test failed %s\n' "$(grep -E '\[(emerg|alert|crit)\]' <<<"$said" | tail -n 1)"; fi
