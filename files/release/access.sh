# How the repository is reached: the host's own key, what a person's `git pull` needs, and what to do where nobody is let in.

# key: OWN_KEY is there, made here, and never leaves this host; one that is damaged goes aside
key() {
    local new=$OWN_KEY.new
    STEP="making a key for the repository"
    as "$DEPLOY_USER" install -d -m 700 "${OWN_KEY%/*}"
    if key_is_whole "$OWN_KEY"; then
        chown "$DEPLOY_USER:$DEPLOY_USER" "$OWN_KEY" "$OWN_KEY.pub"
        chmod 600 "$OWN_KEY"
        return
    fi
    set_aside "$OWN_KEY" "$OWN_KEY.pub"
    as "$DEPLOY_USER" rm -f "$new" "$new.pub"
    as "$DEPLOY_USER" ssh-keygen -q -t ed25519 -N '' -C "$OWN_KEY_COMMENT" -f "$new"
    as "$DEPLOY_USER" sync "$new" "$new.pub"
    as "$DEPLOY_USER" mv -f "$new.pub" "$OWN_KEY.pub"
    as "$DEPLOY_USER" mv -f "$new" "$OWN_KEY"
}

# set_access: in the checkout's own configuration, so that `git pull` by hand is let in as a release is; a token stays in its file
set_access() {
    local name value
    if [[ $SSH_COMMAND = *UserKnownHostsFile=* ]]; then deploy_git config core.sshCommand "$SSH_COMMAND"; fi
    if [ -z "${TOKEN_SETTINGS-}" ]; then return; fi
    # the order counts: the empty helper takes away those before it
    while read -r name _; do deploy_git config --unset-all "$name" || true; done <<<"$TOKEN_SETTINGS"
    while IFS= read -r value; do
        name=${value%% *}
        deploy_git config --add "$name" "${value#"$name" }"
    done <<<"$TOKEN_SETTINGS"
}

# ask_repository WORD…: git asks the repository, whose answer is ANSWER; where it is not let in, the way to settle that is said
# instead of git's words
ask_repository() {
    local words status=0 file
    file=$(mktemp)
    ANSWER=$(deploy_git "$@" 2>"$file") || status=$?
    words=$(cat "$file")
    rm -f "$file"
    if ((status)); then refuse_access "$words"; fi
    if [ -n "$words" ]; then say "$words"; fi
}
refuse_access() {
    if [ -n "${COMMIT-}" ]; then log_release failed "$STEP"; fi
    TOLD=yes
    case $1 in
        *'Host key verification failed'* | *'HOST IDENTIFICATION HAS CHANGED'*)
            refuse "$REPOSITORY: its server shows a host key that itqan:release.knownHosts does not have; compare it with what the server's owner publishes"
            ;;
        # servers say of a repository that somebody may not see that it is not there
        *'Permission denied'* | *' not found'* | *'could not be found'* | *'Authentication failed'* | *'could not read Username'* \
            | *'could not read Password'* | *'returned error: 40'*) refuse_key_or_token ;;
        *) refuse "$REPOSITORY cannot be read; git says:
${1:-nothing}" ;;
    esac
}
refuse_key_or_token() {
    if [ -n "${OWN_KEY-}" ]; then
        refuse "$REPOSITORY does not let this host in yet. Enter this public key there, for reading only, and run the same again:
  key:    $(cat "$OWN_KEY.pub")
  where:  $DEPLOY_KEYS"
    elif [ -n "${TOKEN_SETTINGS-}" ]; then
        refuse "$REPOSITORY does not accept itqan:repositoryToken (expired, withdrawn, or not for this repository's contents); a new one: pulumi config set --secret itqan:repositoryToken, then ./itqan up"
    elif [[ $REPOSITORY = https://* ]]; then
        refuse "$REPOSITORY does not exist, or is private: a token that reads it: pulumi config set --secret itqan:repositoryToken"
    else
        refuse "$REPOSITORY does not let the key itqan:deployKey in: enter its public half there, for reading only"
    fi
}
