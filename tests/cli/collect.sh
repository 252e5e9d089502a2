#!/bin/sh
# collect.sh - the stage collect on its command line: what it writes, equal bytes however it is run, and what it refuses.
# Five documents of 9, 40, 0, 1 and 64 tokens besides BOS: with windows of 16 that is 9 + 40 + 1 + 64 = 114 rows in 10 windows.
bin=${BIN:-build/bin}/collect
tmp=build/tmp/cli-collect
fix=tests/fixtures/lm
rm -rf $tmp && mkdir -p $tmp/half $tmp/act $tmp/neox || exit 1
n=0 failed=0
check() { # check NAME, after a test
    ok=$?
    n=$((n + 1))
    if [ $ok = 0 ]; then echo "ok $n - $1"; else echo "not ok $n - $1" && failed=1; fi
}
run() { $bin --tokens $fix/tokens.safetensors --model $fix/llama-shards --sites L0R,L1TC --context 16 "$@" 2>$tmp/err; }
refused() { # refused STATUS TEXT ARGUMENTS…: nothing on stdout, the text and a hint on stderr, no output file
    want=$1 text=$2
    shift 2
    $bin "$@" --out $tmp/no.st >$tmp/out 2>$tmp/err
    [ $? = "$want" ] && grep -qF -- "$text" $tmp/err && grep -q '^hint: ' $tmp/err && [ ! -s $tmp/out ] && [ ! -e $tmp/no.st ] &&
        [ ! -e $tmp/no.st.saemill-part ]
}
header() { tail -c +9 "$1" | head -c "$(od -An -tu8 -N8 "$1" | tr -d ' ')"; }

run --out $tmp/a.st && grep -q '10 windows, 114 rows' $tmp/err && grep -q '114 rows x 2 sites, 124 tokens' $tmp/err
check 'counts windows, rows and tokens'
header $tmp/a.st | grep -qF '"L1TC":{"dtype":"BF16","shape":[114,32]' && header $tmp/a.st | grep -qF '"row_doc":{"dtype":"I32","shape":[114]'
check 'tensors by site, labels of every row'
header $tmp/a.st | grep -qF '"groups":"[\"en\",\"zh\"]"' && header $tmp/a.st | grep -qF '\"sites\":\"L0R,L1TC\"' && ! grep -qaF "$fix" $tmp/a.st
check 'metadata: groups and record, no path'
run --out $tmp/b.st --threads 1 --batch 1 && cmp -s $tmp/a.st $tmp/b.st && run --out $tmp/b.st --threads 3 --batch 40 && cmp -s $tmp/a.st $tmp/b.st
check 'equal bytes for every number of threads and batch size'
run --out $tmp/keep.st --bos keep --dtype f32 && header $tmp/keep.st | grep -qF '"L0R":{"dtype":"F32","shape":[124,32]'
check 'BOS rows are kept on demand'
run --out $tmp/ref.st --backend ref && header $tmp/ref.st | grep -qF '"shape":[114,32]'
check 'the reference back end runs'
gelu="--tokens $fix/tokens.safetensors --model inputs/models/gelu-1l-zh-en --context 16"
$bin $gelu --sites mlp_post,L0R --out $tmp/gelu.st 2>$tmp/err && header $tmp/gelu.st | grep -qF '"mlp_post":{"dtype":"BF16","shape":[114,1024]' &&
    header $tmp/gelu.st | grep -qF '"L0R":{"dtype":"BF16","shape":[114,256]' && grep -q 'HookedTransformer' $tmp/err
check 'gelu-1l: mlp_post beside the residual stream, each of its width'
$bin $gelu --sites mlp_post,L0R --threads 1 --batch 1 --out $tmp/b.st 2>$tmp/err && cmp -s $tmp/gelu.st $tmp/b.st
check 'gelu-1l: equal bytes for every batch size'

base="--tokens $fix/tokens.safetensors --context 16"
refused 1 'L9R: the model has layers 0..1' $base --model $fix/qwen2-old --sites L9R
check 'a layer that is not there'
refused 2 "'L0Q' is no site" $base --model $fix/qwen2-old --sites L0R,L0Q
check 'a word that is no site'
sed 's/hooked_transformer/gpt_neox/' $fix/hooked/config.json >$tmp/neox/config.json && cp $fix/hooked/model.safetensors $tmp/neox/
refused 1 "'model_type': want qwen2, llama or hooked_transformer, got gpt_neox" $base --model $tmp/neox --sites L0R
check 'another architecture'
sed 's/"gelu"/"solu_ln"/' $fix/hooked/config.json >$tmp/neox/config.json
refused 1 "$tmp/neox/config.json: key 'act_fn': want gelu, got solu_ln" $base --model $tmp/neox --sites L0R
check 'another activation of TransformerLens'
refused 1 '65 is more than the model'"'"'s max_position_embeddings 64' --tokens $fix/tokens.safetensors --context 65 --model $fix/qwen2-old --sites L0R
check 'a context beyond the positions'
refused 1 '49 is more than the model'"'"'s n_ctx 48' --tokens $fix/tokens.safetensors --context 49 --model $fix/hooked --sites L0R
check 'a context beyond n_ctx'
refused 1 'want 0 to 74 (the model' $base --model $fix/hooked --sites L0R
check 'tokens beyond the vocabulary'
refused 2 "'mlp_post' is no site" $base --model $fix/qwen2-old --sites mlp_post
check 'mlp_post without a layer in a model of two'
refused 1 'ids' --tokens $fix/llama-f32/model.safetensors --context 16 --model $fix/llama-f32 --sites L0R
check 'a file that holds no tokens'
sed 's/"vocab_size": 96/"vocab_size": 90/' $fix/qwen2-old/config.json >$tmp/half/config.json
cp $fix/qwen2-old/model.safetensors $tmp/half/model.safetensors
refused 1 'model.embed_tokens.weight: bad shape: want [90,32], got BF16 [96,32]' $base --model $tmp/half --sites L0R
check 'a shape that does not fit the config'
head -c 20000 $fix/qwen2-old/model.safetensors >$tmp/half/model.safetensors && cp $fix/qwen2-old/config.json $tmp/half/
refused 1 "$tmp/half/model.safetensors" $base --model $tmp/half --sites L0R
check 'truncated weights'
sed 's/"silu"/"gelu_new"/' $fix/qwen2-old/config.json >$tmp/act/config.json && cp $fix/qwen2-old/model.safetensors $tmp/act/
refused 1 "'hidden_act': want silu, got gelu_new" $base --model $tmp/act --sites L0R
check 'another activation'
sed 's/"silu"/"silu" x/' $fix/qwen2-old/config.json >$tmp/act/config.json
refused 1 "$tmp/act/config.json:" $base --model $tmp/act --sites L0R
check 'invalid JSON, with its line'
echo old >$tmp/no2.st && $bin $base --model $fix/qwen2-old --sites L9R --out $tmp/no2.st 2>/dev/null
[ "$(cat $tmp/no2.st)" = old ]
check 'a refusal leaves an older output alone'
refused 2 "--tokens" --context 16 --model $fix/qwen2-old --sites L0R
check 'a missing option'
exit $failed
