#!/usr/bin/env python3
"""The same JumpReLU step in PyTorch on one GPU, bf16 products, compiled: the yardstick of `make gpu-receipt`.

Straight-through JumpReLU with the L0 penalty, Adam(0, 0.999), parallel gradient removed, rows renormalised. Written for torch 2.x."""
import math
import statistics

import torch

EPS, L0, B = 0.002, 64, 4096


def step_of(D, F):
    w = torch.nn.functional.normalize(torch.rand(F, D, device="cuda") * 2 - 1, dim=1)
    theta0 = float(torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(1 - L0 / F, dtype=torch.float64))) / math.sqrt(D)
    p = {"We": w.clone(), "Wd": w.clone(), "be": torch.zeros(F, device="cuda"), "bd": torch.zeros(D, device="cuda"),
         "th": torch.full((F,), theta0, device="cuda")}
    v = {k: torch.zeros_like(t) for k, t in p.items()}

    @torch.compile
    def step(x, p, v):
        half = torch.bfloat16
        xc = x - p["bd"]
        pre = (xc.to(half) @ p["We"].to(half).T).float() + p["be"]
        on, near = pre > p["th"], (pre - p["th"]).abs() < EPS / 2
        z = pre * on
        G = 2 / B * ((z.to(half) @ p["Wd"].to(half)).float() + p["bd"] - x)
        g = (G.to(half) @ p["Wd"].to(half).T).float()
        dpre = g * on
        gWd = (z.to(half).T @ G.to(half)).float()
        gWe = (dpre.to(half).T @ xc.to(half)).float()
        gWd = gWd - (gWd * p["Wd"]).sum(1, keepdim=True) * p["Wd"]
        grads = {"We": gWe, "Wd": gWd, "be": dpre.sum(0), "bd": G.sum(0) - dpre.sum(0) @ p["We"],
                 "th": (-(near / EPS) * (p["th"] * g + 1e-3 / B)).sum(0)}
        for k in p:
            v[k].mul_(0.999).addcmul_(grads[k], grads[k], value=0.001)
            p[k].sub_(0.0 * grads[k] / (v[k].sqrt() + 1e-8))
        p["Wd"].div_(p["Wd"].norm(dim=1, keepdim=True))
        return (G * G).sum(), on.sum()

    return step, p, v


for D, F in ((3584, 16384), (4096, 32768)):
    step, p, v = step_of(D, F)
    x = torch.randn(B, D, device="cuda") / math.sqrt(D)
    ms = []
    for i in range(20):
        a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        a.record()
        loss, on = step(x, p, v)
        b.record()
        torch.cuda.synchronize()
        if i >= 5:
            ms.append(a.elapsed_time(b))
    print(f"PyTorch {torch.__version__} compiled, bf16   D {D} F {F} B {B}   {statistics.median(ms):.3f} ms   L0 {float(on) / B:.0f}")
