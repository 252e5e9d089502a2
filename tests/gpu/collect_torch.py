#!/usr/bin/env python3
"""Activations of a Qwen2-7B-shaped model with random weights by Hugging Face transformers (SDPA, bf16): the yardstick of collect in
`make gpu-receipt`. Twice: the model cut off after layer 21, and whole, as who asks for output_hidden_states runs it. The rows are
brought to the host as bf16, as collect does. Written for torch 2.x, transformers 4.45 and later."""
import statistics
import time

import torch
import transformers

N, T = 8, 1024


def tokens_per_second(layers, head):
    config = transformers.Qwen2Config(vocab_size=152064, hidden_size=3584, intermediate_size=18944, num_hidden_layers=layers,
                                      num_attention_heads=28, num_key_value_heads=4, max_position_embeddings=32768, rms_norm_eps=1e-6)
    kind = transformers.AutoModelForCausalLM if head else transformers.AutoModel
    with torch.device("cuda"):
        model = kind.from_config(config, torch_dtype=torch.bfloat16, attn_implementation="sdpa").eval()
    ids = torch.arange(N * T, device="cuda").reshape(N, T) % 152064
    host = torch.empty(N, T, 3584, dtype=torch.bfloat16).pin_memory()
    seconds = []
    with torch.inference_mode():
        for i in range(8):
            torch.cuda.synchronize()
            start = time.perf_counter()
            out = model(ids, use_cache=False, output_hidden_states=head)
            host.copy_(out.hidden_states[22] if head else out.last_hidden_state)
            torch.cuda.synchronize()
            if i >= 3:
                seconds.append(time.perf_counter() - start)
    return N * T / statistics.median(seconds)


for layers, head, name in ((22, False, "cut off after layer 21"), (28, True, "whole, output_hidden_states")):
    print(f"transformers {transformers.__version__}, torch {torch.__version__}, SDPA, bf16: {N} x {T} tokens, {name}: "
          f"{tokens_per_second(layers, head):.0f} tok/s")
    torch.cuda.empty_cache()
