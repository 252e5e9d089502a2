# help.awk - `target: … ## what it does` lines of the makefiles, aligned; a group begins at `##@ title`.
/^##@ / { printf "\n%s\n", substr($0, 5); next }
/^[a-zA-Z][a-zA-Z0-9_ -]*:.*## / {
    target = $0; sub(/:.*/, "", target)
    text = $0; sub(/.*## /, "", text)
    printf "  make %-12s %s\n", target, text
}
