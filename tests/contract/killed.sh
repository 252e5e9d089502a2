#!/bin/sh
# killed.sh - make is killed while a compiler, linker or archiver writes: nothing half is left that the next make believes; and
# where nvcc was found is remembered. The compilers are stand-ins: one writes half its output, then kills the whole build.
unset MAKEFLAGS MAKELEVEL MFLAGS NVCC
T=$(mktemp -d) || exit 1
trap 'rm -rf $T' EXIT
mkdir $T/path
. tests/tap.sh
B=$T/b
{ echo '#!/bin/sh' && echo "victim=$T/victim" && cat; } >$T/cc <<'END'
out= part= from=
for w in "$@"; do
    case $last in -o) out=$w ;; -MF) deps=$w ;; esac
    case $w in -Wl,-Map=*) echo 'libsaemill.a(hash.o)' >"${w#*=}" ;; esac
    last=$w
done
[ -z "$deps" ] || printf '%s:\n' "${out%%.saemill*}" >"$deps"
case $out in *"$(cat $victim 2>/dev/null || echo none)"*) printf half >"$out"; kill -9 0 ;; esac
echo whole >"$out"
END
chmod +x $T/cc && cp $T/cc $T/path/nvcc
printf '#!/bin/sh\n[ "$4" ] && cp "$4" "$5" || :\n' >$T/path/objcopy && chmod +x $T/path/objcopy # (its objects are none)
PATH=$T/path:$PATH
mk() { make --no-print-directory B=$B CC=$T/cc "$@"; }
killed() { # FILE GOAL [NAME=VALUE…] - killed while FILE is written: not there; then whole
    rm -f $B/$1 && echo "$1" >$T/victim
    file=$1
    shift
    setsid -w make --no-print-directory B=$B CC=$T/cc "$@" >$T/out 2>&1
    rc=$?
    rm $T/victim
    [ $rc != 0 ] && [ ! -e $B/$file ] && ls $B/$file.*part* || { echo "exit $rc"; ls -l $B/$file*; cat $T/out; return 1; }
    mk "$@" && grep -q whole $B/$file
}
ok 'an object' killed obj/stages/memo.o $B/bin/memo NVCC=
ok 'a program' killed bin/memo $B/bin/memo NVCC=
ok 'a test' killed test/test_base $B/test/test_base NVCC=
ok 'an emulated object' killed emulated/sae/adam_cuda.o $B/emulated/sae/adam_cuda.o NVCC=
ok 'a CUDA object' killed obj/kernels/sae/adam_cuda.o $B/obj/kernels/sae/adam_cuda.o NVCC=$T/path/nvcc
ok 'a laboratory program' killed lab/adam $B/lab/adam NVCC=$T/path/nvcc
ok 'the GPU receipt' killed gpu-receipt $B/gpu-receipt NVCC=$T/path/nvcc
flags() { # another flag compiles anew; the same does not
    set -- $B/lab/adam $B/receipt/kernels/sae/adam_cuda.o NVCC=$T/path/nvcc
    mk "$@" && mk -q "$@" && ! mk -q $1 $3 CUDA_ARCH=90 && ! mk -q $2 $3 CUDA_ARCH=90 && mk "$@" CUDA_ARCH=90 && mk -q "$@" CUDA_ARCH=90 &&
        mk $B/receipt/kernels/sae/batch.o && ! mk -q $B/receipt/kernels/sae/batch.o OPT=-O1
}
ok "other flags, for what a GPU's machine compiles" flags
archive() { # ar itself, slowed
    mkdir -p $T/slow && printf '#!/bin/sh\nprintf "!<arch>" >"$2"\nkill -9 0\n' >$T/slow/ar && chmod +x $T/slow/ar
    rm -f $B/libsaemill.a
    PATH=$T/slow:$PATH setsid -w make --no-print-directory B=$B CC=$T/cc NVCC= $B/libsaemill.a >$T/out 2>&1 && return 1
    [ ! -e $B/libsaemill.a ] && mk NVCC= $B/libsaemill.a && [ "$(ar t $B/libsaemill.a | wc -l)" -gt 50 ]
}
ok 'the archive' archive
swept() { # what killed compilers left goes when it is old; what another make may be writing stays
    find $B -name '*.saemill-part*' | grep -q . || return 1
    find $B -name '*.saemill-part*' -exec touch -d '2 hours ago' {} +
    : >$B/obj/new.o.saemill-part1
    rm $B/libsaemill.a && mk NVCC= $B/libsaemill.a && [ "$(find $B -name '*.saemill-part*')" = $B/obj/new.o.saemill-part1 ]
}
ok 'their leavings are swept' swept

# ---- nvcc ----
nvcc_is() { # WANTED [ARGUMENT…]
    want=$1
    shift
    got=$(make --no-print-directory -s B=$B --eval 'show: ; @echo "$(NVCC)"' show "$@")
    [ "$got" = "$want" ] || { echo "nvcc: $got, want: $want"; return 1; }
}
found() { rm -f $B/nvcc && nvcc_is $T/path/nvcc && make -s B=$B CC=$T/cc $B/obj/kernels/sae/adam_cuda.o && [ "$(cat $B/nvcc)" = $T/path/nvcc ]; }
no_path() { PATH=$(echo "$PATH" | tr : '\n' | while read -r d; do [ -x "$d/nvcc" ] || printf '%s:' "$d"; done); }
ok 'nvcc in PATH' found
remembered() { (no_path; nvcc_is $T/path/nvcc && make -q B=$B CC=$T/cc $B/obj/kernels/sae/adam_cuda.o); }
ok 'and when PATH lacks it' remembered
none() { (nvcc_is '' NVCC= && NVCC= nvcc_is ''); }
ok 'NVCC= is none, on the command line and in the environment' none
gone() { rm $T/path/nvcc; (no_path; nvcc_is "$(ls /usr/local/cuda/bin/nvcc 2>/dev/null)"); }
ok 'a toolkit that was removed is not believed' gone
echo "1..$n"
