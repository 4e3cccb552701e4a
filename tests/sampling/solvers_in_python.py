"""One step of every solver of genai/sampling/solvers.h in Python, from the published formulas.

    python tests/sampling/solvers_in_python.py > tests/sampling/solvers_in_python.json

The test reads the inputs from the table as well. Ancestral solvers are written as published, for
alpha^2 + sigma^2 = 1 and the betas; other scales are brought there and back. Needs numpy.
"""
import json
from math import factorial

import numpy as np
from numpy import exp, expm1, log, sqrt

ETA = 0.3


# Levels as (alpha, sigma).

def ddpm_alpha_bars():
    """Ho et al. 2020, section 4; index 0: no noise."""
    return np.concatenate([[1], np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))])


def vp(steps):
    bars = ddpm_alpha_bars()
    return [(sqrt(bars[t]), sqrt(1 - bars[t])) for t in steps]


def edm(sigmas):
    return [(1.0, float(s)) for s in sigmas]


def flow(times):
    return [(1.0 - t, float(t)) for t in times]


# The denoiser that heun and the corrector ask at the end of the step.

def denoiser(x, level):
    return 0.4 * x - 0.1 * level[1]


# Solvers of the variance-preserving process. abar_t: before the step, abar_s: after it.

def ddpm(x, x0, abar_t, abar_s, noise, large):
    """Ho et al. 2020, equations 6 and 7, for a step that may skip levels."""
    alpha = abar_t / abar_s
    beta = 1 - alpha
    mean = (sqrt(abar_s) * beta * x0 + sqrt(alpha) * (1 - abar_s) * x) / (1 - abar_t)
    variance = beta if large else (1 - abar_s) / (1 - abar_t) * beta
    return mean + sqrt(variance) * noise


def ddim(x, x0, abar_t, abar_s, noise, eta):
    """J. Song et al. 2021, equations 12 and 16."""
    sigma = eta * sqrt((1 - abar_s) / (1 - abar_t)) * sqrt(1 - abar_t / abar_s)
    epsilon = (x - sqrt(abar_t) * x0) / sqrt(1 - abar_t)
    return sqrt(abar_s) * x0 + sqrt(1 - abar_s - sigma**2) * epsilon + sigma * noise


def in_vp(solver, past, to, noise, *options):
    """Any process has the levels of the variance-preserving one up to a factor of x."""
    (alpha, sigma), x, x0 = past[0]
    size_t, size_s = sqrt(alpha**2 + sigma**2), sqrt(to[0] ** 2 + to[1] ** 2)
    return size_s * solver(x / size_t, x0, (alpha / size_t) ** 2, (to[0] / size_s) ** 2, noise,
                           *options)


# Euler, Heun and Adams-Bashforth. Karras' and the flow's paths are curves of one number, so that
# there they are the textbook's.

def slope(process, level, x, x0):
    """dx / d sigma, where sigma is the time."""
    noise = (x - level[0] * x0) / level[1]
    return {"edm": (x - x0) / level[1], "flow": noise - x0}[process]


def euler(process, past, to):
    level, x, x0 = past[0]
    if process == "vp":   # DPM-Solver++ of first order
        h = lam(to) - lam(level)
        return to[1] / level[1] * x - to[0] * expm1(-h) * x0
    return x + (to[1] - level[1]) * slope(process, level, x, x0)


def heun(process, past, to):
    """Karras et al. 2022, algorithm 1. vp: its trapezoid of x0 d alpha + noise d sigma."""
    level, x, x0 = past[0]
    end = euler(process, past, to)
    end_x0 = denoiser(end, to)
    if process == "vp":
        noise, end_noise = (x - level[0] * x0) / level[1], (end - to[0] * end_x0) / to[1]
        return (x + (to[0] - level[0]) * 0.5 * (x0 + end_x0)
                + (to[1] - level[1]) * 0.5 * (noise + end_noise))
    return x + (to[1] - level[1]) * (0.5 * slope(process, level, x, x0)
                                     + 0.5 * slope(process, to, end, end_x0))


def ipndm(process, past, to):
    """Q. Zhang, Y. Chen 2023 (iPNDM): Adams-Bashforth on the noise; flow: on the velocity."""
    weights = {1: [1], 2: np.array([3, -1]) / 2, 3: np.array([23, -16, 5]) / 12,
               4: np.array([55, -59, 37, -9]) / 24}[len(past)]
    level, x, _ = past[0]
    if process == "vp":
        x0s = [x0 for _, _, x0 in past]
        noises = [(x - level[0] * x0) / level[1] for level, x, x0 in past]
        return (x + (to[0] - level[0]) * sum(w * x0 for w, x0 in zip(weights, x0s))
                + (to[1] - level[1]) * sum(w * n for w, n in zip(weights, noises)))
    return x + (to[1] - level[1]) * sum(w * slope(process, *p) for w, p in zip(weights, past))


# In log-SNR.

def lam(level):
    return log(level[0] / level[1])


def dpmpp(past, to, order, noise=None):
    """C. Lu et al. 2022, algorithm 2 (order 2), with noise its counterpart for the SDE (section 5).
    Order 3: Taylor's expansion of x0 in log-SNR with both derivatives from the last three
    predictions, put into the exact solution (proposition 4.1)."""
    level, x, x0 = past[0]
    h = lam(to) - lam(level)
    order = min(order, len(past))
    if order == 1:
        d = x0
    else:
        r0 = (lam(past[0][0]) - lam(past[1][0])) / h
        d1_0 = (x0 - past[1][2]) / r0
        d = x0 + d1_0 / 2
    if noise is not None:
        return (to[1] / level[1] * exp(-h) * x + to[0] * (1 - exp(-2 * h)) * d
                + to[1] * sqrt(1 - exp(-2 * h)) * noise)
    if order < 3:
        return to[1] / level[1] * x - to[0] * expm1(-h) * d
    r1 = (lam(past[1][0]) - lam(past[2][0])) / h
    d1_1 = (past[1][2] - past[2][2]) / r1
    first = d1_0 + r0 / (r0 + r1) * (d1_0 - d1_1)
    second = 2 * (d1_0 - d1_1) / (r0 + r1)   # published code lacks this 2, and with it order 3
    phi_1 = expm1(-h)
    phi_2 = phi_1 / h + 1
    phi_3 = phi_2 / h - 0.5
    return to[1] / level[1] * x - to[0] * (phi_1 * x0 - phi_2 * first + phi_3 * second)


def unipc(past, to, end=None):
    """W. Zhao et al. 2023, algorithm 2 (UniP) or, with `end`, the x0 at the end, algorithm 1
    (UniC): order 3, B(h) = e^h - 1; x0 prediction, so that h becomes -h (appendix A)."""
    level, x, x0 = past[0]
    h = lam(to) - lam(level)
    r = [(lam(other) - lam(level)) / h for other, _, _ in past[1:3]]
    d = [(value - x0) / rk for (_, _, value), rk in zip(past[1:3], r)]
    if end is not None:
        r.append(1.0)
        d.append(end - x0)
    b_h = expm1(-h)
    base = to[1] / level[1] * x - to[0] * b_h * x0
    if not r:
        return base
    if len(r) == 1:
        a = [0.5]   # "independent of h", section 3.1
    else:
        phi = [exp(-h)]   # phi_0, phi_1, ... of -h
        for n in range(len(r) + 1):
            phi.append((phi[-1] - 1 / factorial(n)) / -h)
        rows = range(1, len(r) + 1)
        a = np.linalg.solve([np.power(r, n - 1) for n in rows],
                            [-h * factorial(n) * phi[n + 1] / b_h for n in rows])
    return base - to[0] * b_h * sum(ak * dk for ak, dk in zip(a, d))


def all_solvers(process, past, to, noise):
    steps = {"euler": euler(process, past, to),
             "heun": heun(process, past, to),
             "ipndm": ipndm(process, past, to)}
    if past[0][0][0] == 0:
        return steps
    steps |= {"ddpm": in_vp(ddpm, past, to, noise, False),
              "ddpm-large": in_vp(ddpm, past, to, noise, True),
              "ddim": in_vp(ddim, past, to, noise, ETA),
              "dpm++2m": dpmpp(past, to, 2),
              "dpm++3m": dpmpp(past, to, 3),
              "dpm++2m-sde": dpmpp(past, to, 2, noise),
              "unipc": unipc(past, to),
              "unipc corrected": unipc(past, to, denoiser(past[0][1], to))}
    return steps


def main():
    paths = [("vp", vp([403, 402, 401, 400, 399])),   # a step of one level: beta is the schedule's
             ("vp", vp([900, 700, 450, 210, 30])),
             ("edm", edm([80, 25, 7, 1.5, 0.2])),
             ("edm", edm([0.5, 0.4, 0.3, 0.2, 0.1])),
             ("flow", flow([0.98, 0.9, 0.75, 0.3, 0.05])),
             ("flow", flow([1, 0.75]))]
    generator = np.random.default_rng(1)
    cases = []
    for process, levels in paths:
        *visited, to = levels
        past = []
        for alpha, sigma in reversed(visited):
            x = alpha * generator.uniform(-1, 1, 3) + sigma * generator.normal(size=3)
            past.append(((alpha, sigma), x, generator.uniform(-1, 1, 3)))
        noise = generator.normal(size=3)
        for count in range(1, len(past) + 1):
            cases.append({
                "process": process, "to": to, "noise": noise.tolist(),
                "past": [{"level": level, "x": x.tolist(), "clean": x0.tolist()}
                         for level, x, x0 in past[:count]],
                "steps": {name: x.tolist()
                          for name, x in all_solvers(process, past[:count], to, noise).items()}})
    cases = ",\n".join(json.dumps(case) for case in cases)   # one a line
    print(f'{{"eta": {ETA},\n"cases": [\n{cases}]}}')


main()
