#!/usr/bin/env python3
"""The same SAE training step, dense, in PyTorch (float32, CPU): the yardstick of bench_step.

    python3 tests/bench/step_torch.py [--threads 2]     needs torch; written for 2.x. Not needed to build, test or run saemill.
Straight-through JumpReLU, L0 penalty, Adam(0, 0.999), parallel gradient removed, rows renormalised: what step.c does, with
autograd and torch.optim.Adam, as users write it. Prints one line in bench_step's form."""
import math
import statistics
import sys
import time

try:
    import torch
except ImportError:
    print("step PyTorch                 absent: this Python has no torch (make bench PYTHON=…)")
    sys.exit(0)

D, F, B, EPS, L0 = 256, 4096, 4096, 0.02, 50
torch.set_num_threads(int(sys.argv[2]) if len(sys.argv) > 2 else 2)
torch.manual_seed(0)


class JumpReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, pre, theta):
        ctx.save_for_backward(pre, theta)
        return pre * (pre > theta)

    @staticmethod
    def backward(ctx, g):
        pre, theta = ctx.saved_tensors
        near = ((pre - theta).abs() < EPS / 2).to(g.dtype)
        return g * (pre > theta), -(theta / EPS * near * g).sum(0)


class Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx, pre, theta):
        ctx.save_for_backward(pre, theta)
        return (pre > theta).to(pre.dtype)

    @staticmethod
    def backward(ctx, g):
        pre, theta = ctx.saved_tensors
        near = ((pre - theta).abs() < EPS / 2).to(g.dtype)
        return None, -(near * g).sum(0) / EPS


w = torch.nn.functional.normalize(torch.rand(F, D) * 2 - 1, dim=1)
W_enc, W_dec = w.clone().requires_grad_(), w.clone().requires_grad_()
b_enc, b_dec = torch.zeros(F, requires_grad=True), torch.zeros(D, requires_grad=True)
quantile = float(torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(1 - L0 / F)))
theta = torch.full((F,), quantile / math.sqrt(D), requires_grad=True)
opt = torch.optim.Adam([W_enc, W_dec, b_enc, b_dec, theta], lr=0.0, betas=(0.0, 0.999))
x = torch.randn(B, D) / math.sqrt(D)
ms = []
for _ in range(8):
    t = time.perf_counter()
    pre = (x - b_dec) @ W_enc.T + b_enc
    z = JumpReLU.apply(pre, theta)
    loss = ((x - (z @ W_dec + b_dec)) ** 2).sum(1).mean() + 1e-3 * Step.apply(pre, theta).sum(1).mean()
    opt.zero_grad()
    loss.backward()
    with torch.no_grad():
        W_dec.grad -= (W_dec.grad * W_dec).sum(1, keepdim=True) * W_dec
        opt.step()
        W_dec /= W_dec.norm(dim=1, keepdim=True)
    ms.append(1e3 * (time.perf_counter() - t))
l0 = int((z != 0).sum()) / B
print(f"{'step PyTorch ' + torch.__version__.split('+')[0] + f', L0 {l0:.0f}':<28} {f'D {D} F {F} B {B}':<26} {statistics.median(ms[2:]):9.2f}")
