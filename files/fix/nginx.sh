# What nginx says of its configuration.
if said=$(nginx -t 2>&1); then
    printf 'test ok\n'
else
    printf 'test failed %s\n' "$(sed -nE 's/^.*(\[(emerg|alert|crit)\]) ([0-9#]+: )?/\1 /p' <<<"$said" | tail -n 1)"
fi
