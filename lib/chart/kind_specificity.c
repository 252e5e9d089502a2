#include "lib/chart/kind.h"
int kind_sentences(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e) {(void)args;(void)c;(void)inputs;(void)e;return -1;}
int kind_prompts(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e) {(void)args;(void)c;(void)inputs;(void)e;return -1;}
int kind_ranking(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e) {(void)args;(void)c;(void)inputs;(void)e;return -1;}
