/* saefile.h - SAEs on disk, as the folder that SAE.load_from_disk of SAELens (6.x) loads as it is:
 *   cfg.json                 architecture "jumprelu" | "standard", d_in, d_sae, dtype "float32", apply_b_dec_to_input
 *                            false, normalize_activations "none", reshape_activations "none",
 *                            metadata {sae_lens_version …}
 *   sae_weights.safetensors  W_enc [D,F], W_dec [F,D], b_enc [F], b_dec [D], threshold [F] (jumprelu)
 * Tests: tests/test_saefile.c, with folders that SAELens wrote (tests/fixtures/sae/make_sae.py), and the script that
 * loads ours in SAELens (tests/fixtures/sae/check_saelens.py). */
#ifndef SAEMILL_SAEFILE_H
#define SAEMILL_SAEFILE_H

#include "lib/sae/sae.h"

/* Write cfg.json and sae_weights.safetensors into an existing folder.
 *   s        inference form, finite
 *   folder   where to; each file appears whole or not at all
 *   site     "L6R"; cfg.json's metadata gets it as "site", and as "hook_name" in TransformerLens' terms where there is
 *            one (L<n>R blocks.n.hook_resid_post, L<n>A blocks.n.hook_attn_out, L<n>M blocks.n.hook_mlp_out), else as
 *            it is
 *   model    cfg.json's "model_name";   context: its "context_size", tokens
 *   record   provenance (opt_record), kept in the safetensors metadata; NULL: none
 * Errors: ERR_NUMERIC for NaN or Inf, naming the tensor; ERR_RANGE for a negative threshold (sae_clamp_theta first);
 * ERR_IO, ERR_MEMORY. Equal parameters and arguments give equal bytes. */
int saefile_write(const struct sae *s, const char *folder, const char *site, const char *model, int context,
                  const char *record, struct err *e);

/* The weights alone, to a file of that name: the same bytes as sae_weights.safetensors. The same errors. */
int saefile_write_weights(const struct sae *s, const char *path, const char *record, struct err *e);

/* Read such a folder (also one that SAELens wrote: apply_b_dec_to_input true is folded into b_enc; any float dtype; a
 * flat cfg.json from before SAELens 6 too). Checks every shape against cfg.json and refuses NaN and Inf by tensor name.
 * Negative thresholds become 0: with SAELens' ReLU that is the same function.
 *   s   overwritten; on success the caller sae_free()s it, after an error there is nothing to free
 * Errors: ERR_IO and ERR_FORMAT for missing or damaged files; ERR_SHAPE; ERR_NUMERIC; ERR_UNSUPPORTED for another
 * architecture ("topk"), an activation normalisation, or a tensor that this architecture does not have. */
int saefile_read(struct sae *s, const char *folder, struct err *e);

#endif
