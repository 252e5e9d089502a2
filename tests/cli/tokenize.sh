#!/bin/sh
# tokenize.sh - the stage tokenize on its command line: order, budgets, splits, equal bytes, and what it refuses.
# The model is the GPT-2 fixture (no BOS) or qwen2 (BOS 0); texts are single letters, so that a token is a byte.
bin=${BIN:-build/bin}/tokenize
tmp=build/tmp/cli-tokenize
model=tests/fixtures/tokenizer
rm -rf $tmp && mkdir -p $tmp/zh $tmp/en $tmp/order/zh $tmp/order/en || exit 1
n=0 failed=0
check() { # check NAME, after a test
    ok=$?
    n=$((n + 1))
    if [ $ok = 0 ]; then echo "ok $n - $1"; else echo "not ok $n - $1" && failed=1; fi
}
line() { printf '{"text":"%s","split":"%s"}\n' "$1" "$2"; }
# The data behind the header: 8 bytes of length, then the header.
data() { tail -c +$((9 + $(od -An -tu8 -N8 "$1"))) "$1"; }
same_data() { data "$1" >$tmp/a.data && data "$2" >$tmp/b.data && cmp -s $tmp/a.data $tmp/b.data; }
refused() { # refused STATUS TEXT ARGUMENTS…
    want=$1 text=$2
    shift 2
    $bin "$@" >$tmp/out 2>$tmp/err
    [ $? = "$want" ] && grep -qF -- "$text" $tmp/err && grep -q '^hint: ' $tmp/err && [ ! -s $tmp/out ]
}

{ line Q train; line W heldout; line E train; line '' train; line R train; } >$tmp/zh/a.jsonl
{ line T train; line Y train; } | gzip -c >$tmp/zh/b.jsonl.gz
{ line U train; printf '{"text":"I"}\n'; } >$tmp/en/a.jsonl
printf 'ZXZX' >$tmp/en/b.txt
all="$tmp/zh/a.jsonl $tmp/zh/b.jsonl.gz $tmp/en/a.jsonl $tmp/en/b.txt"

$bin --model $model/gpt2 --corpus $all --out $tmp/all.st 2>$tmp/err
check 'runs'
grep -q '^tokenize: 12 tokens, 9 documents (0 cut), 2 groups; ' $tmp/err
check 'the closing line counts tokens and documents, the empty one left out'
$bin --corpus $all --out $tmp/again.st --model $model/gpt2 2>/dev/null && cmp -s $tmp/all.st $tmp/again.st
check 'equal inputs give equal bytes'
grep -qaF '"groups":"[\"en\",\"zh\"]"' $tmp/all.st && grep -qaF '"bos_id":"-1"' $tmp/all.st && ! grep -qa "$tmp" $tmp/all.st
check 'metadata: groups sorted, no BOS, no path'

# File order: Q W E R T Y (zh), U I Z X Z X (en); as one file a group the same data must come out.
{ line Q train; line W train; line E train; line R train; line T train; line Y train; } >$tmp/order/zh/a.jsonl
{ line U train; line I train; line ZXZX train; } >$tmp/order/en/a.jsonl
$bin --model $model/gpt2 --corpus $tmp/order/zh/a.jsonl $tmp/order/en/a.jsonl --out $tmp/order.st 2>/dev/null &&
    same_data $tmp/all.st $tmp/order.st
check 'documents in the order of the files'

$bin --model $model/gpt2 --corpus $all --split train --max-tokens-per-group 4 --out $tmp/budget.st 2>$tmp/err &&
    grep -q '^tokenize: 8 tokens, 6 documents (1 cut), ' $tmp/err
check 'a budget a group is exact'
{ line U train; line ZXZ train; } >$tmp/order/en/a.jsonl # en first; U, then ZXZX cut to 3 since I comes after it
{ line Q train; line T train; line E train; line Y train; } >$tmp/order/zh/a.jsonl
$bin --model $model/gpt2 --corpus $tmp/order/en/a.jsonl $tmp/order/zh/a.jsonl --out $tmp/order.st 2>/dev/null &&
    same_data $tmp/budget.st $tmp/order.st
check 'a group draws from its files in turn'

$bin --model $model/gpt2 --corpus $all --max-tokens 5 --out $tmp/five.st 2>$tmp/err && grep -q '^tokenize: 5 tokens, 5 documents (0 cut)' $tmp/err
check 'a budget in all is exact'
$bin --model $model/gpt2 --corpus $tmp/zh/a.jsonl $tmp/en/a.jsonl --split heldout --out $tmp/held.st 2>$tmp/err &&
    grep -q '^tokenize: 2 tokens, 2 documents' $tmp/err
check 'a document without a split belongs to every split'
$bin --model $model/qwen2 --corpus $tmp/zh/a.jsonl --out $tmp/bos.st 2>$tmp/err && grep -q '^tokenize: 8 tokens, 4 documents' $tmp/err &&
    grep -qaF '"bos_id":"0"' $tmp/bos.st
check 'each document begins with BOS'

refused 1 "no document for split 'heldout' in $tmp/zh/b.jsonl.gz" --model $model/gpt2 --corpus $tmp/zh/b.jsonl.gz --split heldout --out $tmp/no.st
check 'an empty corpus is refused'
refused 1 "$tmp/tokenizer.json: cannot read" --model $tmp --corpus $all --out $tmp/no.st
check 'a folder without tokenizer.json is refused'
$bin --model $model/gpt2 --corpus $tmp/zh/none.jsonl --out $tmp/no.st 2>$tmp/err
[ $? = 1 ] && grep -qF "$tmp/zh/none.jsonl: " $tmp/err
check 'a missing corpus is refused'
refused 2 '--split' --model $model/gpt2 --corpus $all --split x --out $tmp/no.st || grep -qF 'train|heldout' $tmp/err
check 'an unknown split is a usage error'

# Zero characters, escaped in .jsonl and raw in .txt: the same text. The ids are those of tests/fixtures/tokenizer/cases.json.
printf '{"text":"<|endoftext|>\\u0000<|endoftext\\u0000|>"}\n' >$tmp/zero.jsonl
printf '<|endoftext|>\0<|endoftext\0|>' >$tmp/zero.txt
$bin --model $model/gpt2 --corpus $tmp/zero.jsonl --out $tmp/zero.st 2>/dev/null && $bin --model $model/gpt2 --corpus $tmp/zero.txt --out $tmp/raw.st 2>/dev/null && same_data $tmp/zero.st $tmp/raw.st
check 'a zero character is text'

# Text that is no UTF-8: a few bytes are counted, more are a warning, many are refused with the command to run.
hinted() { grep -qF -- "hint: $1" $tmp/err; }
good() { awk 'BEGIN { for (i = 0; i < 300; i++) printf "ten bytes " }'; }
{ good; printf '\357\277\275\357\277\275'; } >$tmp/fffd.txt
$bin --model $model/gpt2 --corpus $tmp/fffd.txt --out $tmp/enc.st 2>$tmp/err && ! grep -q 'UTF-8' $tmp/err
check 'U+FFFD in the text is no bad byte'
{ good; printf 'caf\351\n'; } >$tmp/few.txt
$bin --model $model/gpt2 --corpus $tmp/few.txt --out $tmp/enc.st 2>$tmp/err && grep -q '; 1 bytes that are no UTF-8 replaced$' $tmp/err && [ "$(wc -l <$tmp/err)" = 1 ]
check 'a few bad bytes stand in the closing line'
{ good; printf '\351 \351 \351 \351 \342\202 \n'; } >$tmp/some.txt
gzip -kf $tmp/some.txt
for f in some.txt some.txt.gz; do
    $bin --model $model/gpt2 --corpus $tmp/few.txt $tmp/$f --out $tmp/enc.st 2>$tmp/err &&
        grep -qF "tokenize: warning: $tmp/$f: 6 of 3012 bytes are no UTF-8 (0.2 %) and became U+FFFD" $tmp/err && hinted 'damaged, ' &&
        grep -q '; 7 bytes that are no UTF-8 replaced$' $tmp/err && ! grep -q 'warning.*few' $tmp/err
    check "more are a warning for the file: $f"
done
awk 'BEGIN { for (i = 0; i < 99; i++) printf "\304\332\272\313\316\304\265\265 ls\n" }' >$tmp/gbk.txt
refused 1 "$tmp/gbk.txt: want UTF-8, got 396 of 1188 bytes that are none (33.3 %)" --model $model/gpt2 --corpus $tmp/gbk.txt --out $tmp/no.st && hinted "if it is GB18030: iconv -f GB18030 -t UTF-8 $tmp/gbk.txt >b.txt"
check 'GBK is refused, and named'
gzip -kf $tmp/gbk.txt
refused 1 "$tmp/gbk.txt.gz: want UTF-8, got 396 of 1188" --model $model/gpt2 --corpus $tmp/gbk.txt.gz --out $tmp/no.st && hinted "if it is GB18030: gzip -dc $tmp/gbk.txt.gz | iconv -f GB18030 -t UTF-8 >b.txt"
check 'packed GBK too'
cp tests/fixtures/files/two.jsonl.gz $tmp/binary.txt
refused 1 "$tmp/binary.txt: want UTF-8, got " --model $model/gpt2 --corpus $tmp/binary.txt --out $tmp/no.st
check 'bytes of no text at all are refused'
for m in '\377\376' '\376\377'; do
    printf "${m}a" >$tmp/wide.txt
    refused 1 "$tmp/wide.txt: want UTF-8, got UTF-16 (its byte order mark is there)" --model $model/gpt2 --corpus $tmp/few.txt $tmp/wide.txt --out $tmp/no.st && hinted "iconv -f UTF-16 -t UTF-8 $tmp/wide.txt >b.txt"
    check 'UTF-16 is refused by its mark, before any work'
done
{ printf '\357\273\277'; cat $tmp/few.txt; } >$tmp/mark.txt
$bin --model $model/gpt2 --corpus $tmp/mark.txt --out $tmp/mark.st 2>/dev/null && $bin --model $model/gpt2 --corpus $tmp/few.txt --out $tmp/few.st 2>/dev/null && same_data $tmp/mark.st $tmp/few.st
check 'a mark of UTF-8 is no text'
[ ! -e $tmp/no.st ] && [ ! -e $tmp/no.st.saemill-part ]
check 'a refused run leaves nothing behind'
echo "1..$n"
exit $failed
