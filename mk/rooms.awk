# rooms.awk - the arrows of ARCHITECTURE.md: prints each #include that goes up or across, and fails when there is one.
# awk -f mk/rooms.awk FILE...

# A room sees itself, lib/base, what stands here and, but for lib/base, lib/file.
BEGIN {
    kernels = "kernels/sae kernels/lm kernels/analysis kernels/base"
    sees["lib/base"] = ""
    sees["lib/file"] = ""
    sees["lib/store"] = ""
    sees["kernels/base"] = ""
    sees["kernels/sae"] = sees["kernels/lm"] = sees["kernels/analysis"] = "kernels/base"
    sees["lib/analysis"] = sees["lib/sae"] = sees["lib/lm"] = sees["lib/chart"] = sees["lib/page"] = kernels
    sees["stages"] = "lib/page lib/chart lib/lm lib/sae lib/analysis lib/store " kernels
}

function room(path, part) {
    split(path, part, "/")
    return part[1] == "stages" ? part[1] : part[1] "/" part[2]
}

/^ *# *include "/ {
    split($0, quoted, "\"")
    from = room(FILENAME)
    to = room(quoted[2])
    if (quoted[2] !~ "/") next # made by the build
    if (to == from || to == "lib/base" || (to == "lib/file" && from != "lib/base")) next
    if (index(" " sees[from] " ", " " to " ")) next
    printf "%s:%d: %s does not see %s\n", FILENAME, FNR, from, to
    up++
}

END { exit up > 0 }
