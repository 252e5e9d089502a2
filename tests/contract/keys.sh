#!/bin/sh
# keys.sh - what of a program counts in the key of a result (lib/store/progid.h): code that computes and the libraries that do, not
# messages, comments, nor the kernels of a GPU that does not take part. First a small program of its own, then the real ones.
unset MAKEFLAGS MAKELEVEL MFLAGS LD_PRELOAD
T=$(mktemp -d) || exit 1
trap 'rm -rf $T' EXIT
. tests/tap.sh
W=$T/w
mkdir -p $W $T/lib $T/near $T/cublas
echo 'const char *opt(void) { return "unknown option"; }' >$W/opt.c
echo 'static const double c[] = {1.5, 2.5};
double sum(double x) { return c[0] * x + c[1]; }' >$W/sum.c
echo 'double sum_cuda(double x) { return 3 * x; }' >$W/sum_cuda.c
echo 'double other(double x) { return 4 * x; }' >$W/other.c
echo '#include <stdio.h>
const char *opt(void); double sum(double), sum_cuda(double), openblas(void), png(void);
int main(int n, char **w) { printf("%s %g", opt(), (n > 9 ? sum_cuda : sum)(openblas() + png())); return !w; }' >$W/main.c
shared() { # shared NAME VERSION VALUE [FLAG…] - a library whose file's name has a version
    lib=$1 file=$1.so.$2 value=$3
    shift 3
    echo "double ${lib#lib}(void) { return $value; }" | gcc -x c "$@" -shared -fPIC -Wl,--build-id=none -Wl,-soname,$lib.so.0 - -o $T/lib/$file &&
        ln -sf $file $T/lib/$lib.so.0
}
link() { # link [SECTION] - the program, as mk/build.mk makes it
    (cd $W && gcc -g -O2 -c *.c && rm -f lib.a && ar rcsD lib.a opt.o sum.o sum_cuda.o other.o &&
        gcc -Wl,--build-id=none -Wl,-Map=map main.o lib.a -L$T/lib -l:libopenblas.so.0 -l:libpng.so.0 -o toy) &&
        { [ "$1" = bare ] || { sh mk/parts.sh sums $W/lib.a >$W/sums && sh mk/parts.sh put $W/toy $W/main.o $W/sums $W/map $W/lib.a; }; }
}
key() { # key BACKEND - of a run of it
    LD_LIBRARY_PATH=$path build/bin/memo --mode plan --store $T/store --target $T/none -- $W/toy --backend $1 --out @O | cut -f4
}
path=$T/lib
keys() { cpu=$(key cpu) cuda=$(key cuda) f32=$(key cuda-f32); }
before() { keys && old_cpu=$cpu old_cuda=$cuda old_f32=$f32; }
edit() { # edit FILE FROM TO - and link
    before && grep -qF -- "$2" $W/$1 && sed -i "s|$2|$3|" $W/$1 && link && keys
}
same() { [ ${#cpu} = 32 ] && [ ${#cuda} = 32 ] && [ $cpu = $old_cpu ] && [ $cuda = $old_cuda ]; }
other() { [ ${#cpu} = 32 ] && [ $cpu != $old_cpu ] && [ $cuda != $old_cuda ]; }
build() { shared libopenblas 3.21 1 && shared libpng 1.6 2 && link && LD_LIBRARY_PATH=$path $W/toy && keys && [ $cpu != $cuda ]; }
ok 'a program' build
message() { edit opt.c 'unknown option' 'no such option: say --help' && same; }
ok 'another message: the same key' message
comment() { edit sum.c 'double sum' '/* a remark */\
\
double sum' && same; }
ok 'a comment and moved lines: the same' comment
elsewhere() { before && cp -r $W $T/elsewhere && W=$T/elsewhere && link && keys; W=$T/w; same; }
ok 'built in another folder: the same' elsewhere
constant() { edit sum.c '2.5' '2.6' && other; }
ok 'a constant: another' constant
formula() { edit sum.c '+ c' '- c' && other; }
ok 'a formula: another' formula
own() { edit main.c '%g' '%f' && other; }
ok "the program's own file: another" own
gpu() { edit sum_cuda.c 'return 3' 'return 5'; [ $cpu = $old_cpu ] && [ $cuda != $old_cuda ] && [ $f32 != $old_f32 ]; }
ok "a GPU's kernel: another for that back end only" gpu
unused() { edit other.c '4' '6' && same; }
ok 'what the program does not call: the same' unused
blas() { before && shared libopenblas 3.21 1.0000001 && keys && other; }
ok 'OpenBLAS of the same version, built anew: another' blas
png() { before && shared libpng 1.6 2 -g && keys && same && shared libpng 1.7 2 && keys && other; }
ok 'of other libraries the version counts' png
near() { before && path=$T/near:$T/lib && cp -L $T/lib/libopenblas.so.0 $T/near/ && keys && same && echo >>$T/near/libopenblas.so.0 && keys && other; }
ok 'of what the loader would take' near
path=$T/lib
cublas() { # opened while it runs
    before && path=$T/lib:$T/cublas && gcc -x c -shared /dev/null -Wl,-soname,libcublas.so.12 -o $T/cublas/libcublas.so.12.4 && ln -s libcublas.so.12.4 $T/cublas/libcublas.so.12 && keys &&
        [ $cpu = $old_cpu ] && [ $cuda != $old_cuda ]
}
ok 'cuBLAS: for that back end only' cublas
path=$T/lib
bare() { link bare && keys && old_cpu=$cpu && sed -i 's/such/SUCH/' $W/opt.c && link bare && keys && [ $cpu != $old_cpu ]; }
ok 'a program without its parts: all of it counts' bare

# ---- the real programs, in a copy ----
C=$T/checkout
mkdir -p $C/build && cp -a Makefile mk lib kernels stages params paper tests $C/ && ln -s "$PWD/inputs" $C/inputs && mkdir $C/build/tmp &&
    cp -a build/bin build/obj $(find build -maxdepth 1 -type f) $C/build/ || exit 1
if grep -q SAEMILL_CUDA build/flags; then cp -a build/nvcc $C/build/; else nvcc=NVCC=; fi
id() { (cd $C && "$OLDPWD"/build/bin/memo --mode plan --store $T/store --target $T/none -- build/bin/$1 --out @O | cut -f4); }
mk() { (cd $C && make --no-print-directory -j1 $nvcc build/bin/train build/bin/tsne build/bin/page "$@"); }
real() { mk >$T/out 2>&1 && cat $T/out && train=$(id train) tsne=$(id tsne) page=$(id page) && [ ${#train} = 32 ]; }
ok 'the real programs' real
opt() { sed -i 's/lists every option/names them all/' $C/lib/base/opt.c && mk && ! cmp -s $C/build/bin/train build/bin/train && [ ${#train} = 32 ] && [ "$(id train) $(id tsne) $(id page)" = "$train $tsne $page" ]; }
ok 'a reworded message of the options: no result is made again' opt
schedule() { sed -i 's/0\.1/0.2/' $C/lib/sae/schedule.c && ! cmp -s $C/lib/sae/schedule.c lib/sae/schedule.c && mk && [ "$(id train)" != "$train" ] && [ "$(id tsne) $(id page)" = "$tsne $page" ]; }
ok 'the schedule of training: training, and no other stage' schedule
echo "1..$n"
