"""Schedules, training levels and sampling levels of genai/sampling/noise.h in Python, from the
published formulas.

    python tests/sampling/noise_in_python.py > tests/sampling/noise_in_python.json

Fifty digits, so that nothing is lost in 1 - alpha^2. Needs mpmath.
"""
import json
from statistics import NormalDist

from mpmath import cos, exp, log, mp, mpf, pi, sqrt

mp.dps = 50


def sigmoid(x):
    return 1 / (1 + exp(-x))


# alpha^2 of continuous time.

def linear(t):
    """Y. Song et al. 2021, equation 33: beta from 0.1 to 20; alpha there is the square root."""
    return exp(-t**2 / 2 * (mpf(20) - mpf("0.1")) - t * mpf("0.1"))


def cosine(t):
    """Nichol, Dhariwal 2021, equation 17."""
    def f(t):
        return cos((t + mpf("0.008")) / mpf("1.008") * pi / 2) ** 2
    return f(t) / f(mpf(0))


def sigmoid_schedule(t):
    """Jabri et al. 2022, algorithm 1: start -3, end 3, tau 1."""
    first, last = sigmoid(mpf(-3)), sigmoid(mpf(3))
    return (last - sigmoid(t * 6 - 3)) / (last - first)


CONTINUOUS = {"linear": linear, "cosine": cosine, "sigmoid": sigmoid_schedule}


def held(alpha2):
    """|log SNR| at most 15."""
    if alpha2 <= 0 or alpha2 >= 1:
        log_snr = mpf(-15 if alpha2 <= 0 else 15)
    else:
        log_snr = max(mpf(-15), min(mpf(15), log(alpha2 / (1 - alpha2))))
    return sigmoid(log_snr)


def discrete(schedule, steps):
    """alpha^2 of the levels 1 .. T."""
    if schedule == "linear":
        # Ho et al. 2020: 1e-4 to 0.02 for T = 1000; Nichol, Dhariwal's code: times 1000 / T.
        first, last = mpf("0.1") / steps, mpf(20) / steps
        betas = [first + (last - first) * i / (steps - 1) for i in range(steps)]
    else:
        bar = CONTINUOUS[schedule]
        betas = [1 - bar(mpf(i + 1) / steps) / bar(mpf(i) / steps) for i in range(steps)]
    bars, bar = [], mpf(1)
    for beta in betas:
        bar *= 1 - min(beta, mpf("0.999"))
        bars.append(bar)
    return bars


def schedules():
    for schedule, bar in CONTINUOUS.items():
        times = [mpf(i) / 16 for i in range(17)] + [mpf(1) / 2**18, 1 - mpf(1) / 2**18]
        yield schedule, 0, [(t, held(bar(t))) for t in times]
    for schedule, steps in [("linear", 1000), ("linear", 200), ("cosine", 1000), ("cosine", 50),
                            ("sigmoid", 250), ("linear", 8)]:
        bars = discrete(schedule, steps)
        chosen = sorted({1, 2, 3, steps // 4, steps // 2, steps - 1, steps})
        yield schedule, steps, [(mpf(n) / steps, bars[n - 1]) for n in chosen]


def karras(count, most=80.0, least=0.02, rho=7):
    """Karras et al. 2022, equation 5."""
    return [(most ** (1 / rho) + i / (count - 1) * (least ** (1 / rho) - most ** (1 / rho))) ** rho
            for i in range(count)] + [0.0]


def main():
    levels = [{"schedule": schedule, "steps": steps,
               "t": [float(t) for t, _ in entries],
               "alpha": [float(sqrt(bar)) for _, bar in entries],
               "sigma": [float(sqrt(1 - bar)) for _, bar in entries]}
              for schedule, steps, entries in schedules()]
    uniform = [0.0078125, 0.125, 0.25, 0.5, 0.75, 0.96875, 0.9921875]
    normal = [NormalDist().inv_cdf(u) for u in uniform]
    lines = ['{"levels": [', ",\n".join(json.dumps(entry) for entry in levels), "],",
             f'"uniform": {json.dumps(uniform)},', f'"normal": {json.dumps(normal)},',
             f'"karras 18": {json.dumps(karras(18))}', "}"]
    print("\n".join(lines))


main()
