# What a commit may not have: parts that are elsewhere, which a checkout would leave empty without a word.

# check_contents COMMIT: no submodules, no files in Git LFS
check_contents() {
    local found
    found=$(deploy_git ls-tree -r --full-tree "$1" | sed -n 's/^160000 commit [0-9a-f]*\t//p')
    if [ -n "$found" ]; then
        refuse "commit $1 has submodules, which a release does not fetch: ${found//$'\n'/, }; take them in as packages of Composer or npm, or as files (git subtree)"
    fi
    found=$(pointers_in "$1")
    if [ -n "$found" ]; then
        refuse "commit $1 has files in Git LFS, which a release does not fetch: $(head -n 4 <<<"$found" | paste -sd ' ')$(if (($(wc -l <<<"$found") > 4)); then echo ' …'; fi); take them back into git (git lfs migrate export), or keep them in storage/"
    fi
}

# pointers_in COMMIT: files whose content is in Git LFS; only where attributes send any there
pointers_in() {
    if ! deploy_git grep -qI 'filter=lfs' "$1" -- '.gitattributes' '*/.gitattributes'; then return; fi
    deploy_git -c core.quotePath=false grep -lI '^version https://git-lfs.github.com/spec/v' "$1" -- | sed "s/^$1://" || true
}
