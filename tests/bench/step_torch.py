#!/usr/bin/env python3
"""The same SAE training step, dense, in PyTorch (float32, CPU): the yardstick of bench_step.

    python3 tests/bench/step_torch.py [--threads 2] [SHAPE…]     needs torch; written for 2.x. Not needed to build, test or run saemill.
SHAPE is arch,D,F,B,L0, for example jumprelu,256,4096,256,60; without one, those of bench_step. Straight-through JumpReLU with the L0
penalty, or ReLU with the decoder-weighted L1; Adam(0, 0.999), parallel gradient removed, rows renormalised: what step.c does, with
autograd and torch.optim.Adam, as users write it. Prints a line a shape in bench_step's form."""
import math
import statistics
import sys
import time

try:
    import torch
except ImportError:
    print("step PyTorch                 absent: this Python has no torch (make bench PYTHON=…)")
    sys.exit(0)

EPS = 0.02
SHAPES = ["jumprelu,256,4096,256,60", "jumprelu,256,4096,512,60", "relu,1024,8192,640,60", "jumprelu,256,4096,4096,50"]
args = sys.argv[1:]
threads = 2
if args and args[0] == "--threads":
    threads, args = int(args[1]), args[2:]
torch.set_num_threads(threads)
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


def run(arch, D, F, B, L0):
    relu = arch == "relu"
    w = torch.nn.functional.normalize(torch.rand(F, D) * 2 - 1, dim=1)
    W_enc, W_dec = w.clone().requires_grad_(), w.clone().requires_grad_()
    cut = float(torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(1 - L0 / F))) / math.sqrt(D)
    b_enc, b_dec = torch.full((F,), -cut if relu else 0.0, requires_grad=True), torch.zeros(D, requires_grad=True)
    theta = torch.full((F,), cut, requires_grad=True)
    opt = torch.optim.Adam([W_enc, W_dec, b_enc, b_dec] + ([] if relu else [theta]), lr=1e-6, betas=(0.0, 0.999))
    x = torch.randn(B, D) / math.sqrt(D)
    ms = []
    for _ in range(8 if B * F > 1 << 22 else 30):
        t = time.perf_counter()
        pre = (x - b_dec) @ W_enc.T + b_enc
        z = torch.relu(pre) if relu else JumpReLU.apply(pre, theta)
        penalty = (z * W_dec.norm(dim=1)).sum(1) if relu else Step.apply(pre, theta).sum(1)
        loss = ((x - (z @ W_dec + b_dec)) ** 2).sum(1).mean() + 1e-3 * penalty.mean()
        opt.zero_grad()
        loss.backward()
        with torch.no_grad():
            W_dec.grad -= (W_dec.grad * W_dec).sum(1, keepdim=True) * W_dec
            opt.step()
            W_dec /= W_dec.norm(dim=1, keepdim=True)
        ms.append(1e3 * (time.perf_counter() - t))
    l0, ms = int((z != 0).sum()) / B, statistics.median(ms[2:])
    name = f"step PyTorch {torch.__version__.split('+')[0]}, L0 {l0:.0f}"
    print(f"{name:<28} {f'D {D} F {F} B {B}':<26} {ms:9.2f} {1e3 * B / ms:9.0f} rows/s", flush=True)


for shape in args or SHAPES:
    arch, *sizes = shape.split(",")
    run(arch, *map(int, sizes))
