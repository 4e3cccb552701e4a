"""The checks of tools/cuda-check.sh: one function each, whose outcome is kept in results.json, so that
a second start goes on. A function returns what it measured, or raises Failed with what is wrong."""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

CHECKS = []   # (name, function) in the order in which they run
FAMILIES = {"vae": "digits", "gan": "digits", "diffusion": "digits", "classifier": "digits",
            "transformer": "shakespeare", "rnn": "shakespeare"}
# Of real size; tests/device does the same for every family at a tiny one.
SOME = ["gan", "diffusion", "transformer"]
TIMED = ["vae-example", "gan-example", "diffusion-example", "transformer-nanogpt-cpu", "transformer-nanogpt"]
QUIET = ["--validate-every", "1000000", "--sample-every", "1000000", "--checkpoint-every", "1000000"]


class Failed(Exception):
    pass


def check(function):
    CHECKS.append((function.__name__, function))
    return function


class Machine:
    """genai on this machine, its runs in a folder of their own."""
    def __init__(self, build, out, device, modes, precisions):
        self.genai, self.tests = build / "bin/genai", build / "tests/device_tests"
        self.runs, self.out, self.device, self.modes = out / "runs", out, device, modes
        self.precisions = precisions
        self.peer = pathlib.Path(__file__).parents[1] / "tests/models/steps_in_python.py"

    def call(self, *arguments, expect=0, **settings):
        words = [str(self.genai), *map(str, arguments)]
        done = subprocess.run(words, capture_output=True, text=True, cwd=self.out, **settings)
        if expect is not None and done.returncode != expect:
            raise Failed(f"{' '.join(words[1:])}: exit code {done.returncode}, expected {expect}\n"
                         + done.stderr[-1500:])
        return done

    def train(self, name, *arguments, device=None, **settings):
        """A run trained anew."""
        shutil.rmtree(self.runs / name, ignore_errors=True)
        return self.call("train", *arguments, "--device", device or self.device, "--out", self.runs / name,
                         **settings)

    def resume(self, name, *arguments, device=None):
        return self.call("train", "--resume", self.runs / name, "--device", device or self.device, *arguments)

    def log(self, name, kind="train"):
        lines = (json.loads(line) for line in (self.runs / name / "metrics.jsonl").read_text().splitlines())
        return [line for line in lines if kind in line]

    def losses(self, name):
        return {line["step"]: loss_of(line["train"]) for line in self.log(name)}

    def time_peer(self, words, seconds):
        """The milliseconds that the peer prints, or why it printed none."""
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            return f"failed: nothing after {seconds} s"
        if done.returncode:
            return "failed: " + done.stderr.strip().splitlines()[-1][:200]
        return json.loads(done.stdout.splitlines()[-1])["ms"]

    def weights(self, name):
        newest = sorted((self.runs / name / "checkpoints").glob("step-*"))[-1]
        return hashlib.sha256((newest / "model.safetensors").read_bytes()).hexdigest()


def loss_of(values):
    """The loss of a line of the log: of the last phase, where there are several."""
    return values["loss"] if "loss" in values else values[sorted(k for k in values if k.startswith("loss/"))[-1]]


def options_of(family):
    return ["--model", family, "--data", FAMILIES[family], "--precision", "float32"]


@check
def suite(m):
    """The suite's part for a second device."""
    done = subprocess.run([m.tests, "--gtest_brief=1"], capture_output=True, text=True)
    (m.out / "tests.log").write_text(done.stdout + done.stderr)
    if done.returncode:
        failed = re.findall(r"\[  FAILED  \] (\S+)", done.stdout)
        raise Failed(f"{len(set(failed))} tests failed: {sorted(set(failed))[:30]}\n{done.stdout[:3000]}")
    counts = {word: int(number) for word, number in re.findall(r"\[  (PASSED|SKIPPED) *\] (\d+) test", done.stdout)}
    if m.device != "cpu" and not counts.get("PASSED"):
        raise Failed(f"no test ran: {done.stdout[-600:]}")
    return counts


@check
def equal_training(m):
    """200 steps of each family's default on the CPU and on the device with equal data and noise. Sums in
    another order differ in the last bits; training makes such differences grow, fastest in a GAN. So the
    first losses must agree to 1e-3, the mean of the last hundred steps to 2 % (a GAN's: 15 %)."""
    tasks = [(f, d) for f in FAMILIES for d in ("cpu", m.device)]

    def one(task):
        family, device = task
        m.train(f"{family}-{device[:3]}", *options_of(family), "--steps", 200, "--log-every", 10,
                "--threads", max(1, (os.cpu_count() or 2) // 4), *QUIET, device=device)
    with concurrent.futures.ThreadPoolExecutor(4 if (os.cpu_count() or 2) >= 8 else 1) as pool:
        list(pool.map(one, tasks))
    found, bad = {}, []
    for family in FAMILIES:
        a, b = m.losses(f"{family}-cpu"), m.losses(f"{family}-{m.device[:3]}")
        first = abs(b[10] - a[10]) / abs(a[10])
        mean = lambda losses: sum(v for s, v in losses.items() if s > 100) / sum(s > 100 for s in losses)
        last = abs(mean(b) - mean(a)) / abs(mean(a))
        found[family] = {"first": first, "last": last, "cpu": mean(a), "device": mean(b)}
        if first > 1e-3 or last > (0.15 if family == "gan" else 0.02):
            bad.append(family)
    if bad:
        raise Failed(f"losses differ in {bad}: {json.dumps(found)}")
    return found


@check
def moves(m):
    """Checkpoints of the CPU go on on the device, and the other way round."""
    for family in SOME:
        for name, device in ((f"{family}-cpu", m.device), (f"{family}-{m.device[:3]}", "cpu")):
            shutil.copytree(m.runs / name, m.runs / "moved", dirs_exist_ok=False)
            try:
                m.resume("moved", "--steps", 220, device=device)
                losses = m.losses("moved")
                before, after = losses[200], losses[220]
                if not abs(after - before) < 0.5 * abs(before) + 0.5:
                    raise Failed(f"{name} on {device}: loss {before} at 200, {after} at 220")
            finally:
                shutil.rmtree(m.runs / "moved")
    return {}


@check
def bits(m):
    """A run that is resumed has the bits of one that is not, recorded steps those of plain ones."""
    for family in SOME:
        base = ["--model", family, "--data", FAMILIES[family], *QUIET]
        m.train("halves", *base, "--steps", 23, "--schedule", "constant")
        m.train("whole", *base, "--steps", 40, "--schedule", "constant")
        m.resume("halves", "--steps", 40)
        m.train("plain", *base, "--steps", 40, "--schedule", "constant", "--graph", "false")
        whole, halves, plain = (m.weights(name) for name in ("whole", "halves", "plain"))
        if halves != whole or plain != whole:
            raise Failed(f"{family}: resumed {halves == whole}, plain steps {plain == whole}")
    return {}


@check
def pictures(m):
    """Samples of the device and of the CPU from one run: greatest difference of grey levels."""
    import numpy as np
    from PIL import Image
    found = {}
    for family in ("vae", "gan", "diffusion"):
        sheets = []
        for device in ("cpu", m.device):
            path = m.out / f"{family}-{device[:3]}.png"
            m.call("sample", m.runs / f"{family}-{m.device[:3]}", "-n", 64, "--scale", 1, "--device", device,
                   "--out", path)
            sheets.append(np.asarray(Image.open(path), dtype=np.int32))
        difference = np.abs(sheets[0] - sheets[1])
        found[family] = {"largest": int(difference.max()), "share": float((difference > 0).mean())}
        if difference.max() > 3:
            raise Failed(f"{family}: {found[family]}")
    return found


@check
def precisions(m):
    """The mean loss of the last 100 of 200 steps in each precision, which must be near float32's."""
    found = {}
    for family in ("vae", "diffusion", "transformer"):
        values = {}
        for precision in ("float32", "tf32", "bfloat16") if m.device != "cpu" else ("float32", "bfloat16"):
            m.train("precision", "--model", family, "--data", FAMILIES[family], "--precision", precision,
                    "--steps", 200, "--log-every", 10, *QUIET)
            losses = [v for s, v in m.losses("precision").items() if s > 100]
            values[precision] = sum(losses) / len(losses)
        found[family] = values
        if any(abs(v / values["float32"] - 1) > 0.03 for v in values.values()):
            raise Failed(f"{family}: {values}")
    return found


@check
def memory(m):
    """A GPU whose memory is full: what to lower is said, and the run stays whole."""
    if m.device == "cpu":
        return {"left out": "no GPU"}
    holder = subprocess.Popen([sys.executable, "-c", "import torch, sys; free, _ = torch.cuda.mem_get_info(); "
                               "x = torch.empty(free - (12 << 30), dtype=torch.uint8, device='cuda'); "
                               "print('held', flush=True); sys.stdin.read()"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        holder.stdout.readline()
        base = ["--model", "diffusion-example", "--data", "digits", *QUIET]
        m.train("full", *base, "--batch", 16, "--steps", 20)
        done = m.train("over", *base, "--batch", 4000, "--steps", 20, expect=4)
        if "--batch" not in done.stderr:
            raise Failed(f"the message does not say what to lower: {done.stderr[-600:]}")
        m.call("check", m.runs / "full", expect=None)
        m.resume("full", "--steps", 25)
        return {"message": done.stderr.strip().splitlines()[-1]}
    finally:
        holder.stdin.close()
        holder.wait()


@check
def kill(m):
    """A training that is killed goes on from its checkpoint."""
    shutil.rmtree(m.runs / "killed", ignore_errors=True)
    words = [str(m.genai), "train", "--model", "vae", "--data", "digits", "--steps", "100000", "--device", m.device,
             "--checkpoint-every", "50", "--validate-every", "1000000", "--sample-every", "1000000",
             "--out", str(m.runs / "killed")]
    process = subprocess.Popen(words, cwd=m.out, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        time.sleep(0.05)
        if len(list((m.runs / "killed/checkpoints").glob("step-*"))) >= 2:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    steps = [int(p.name[5:]) for p in (m.runs / "killed/checkpoints").glob("step-*") if p.name[5:].isdigit()]
    m.resume("killed", "--steps", max(steps) + 10)
    return {"killed after": max(steps)}


@check
def errors(m):
    """Devices that are not there."""
    for device in ("cuda:7", "cuda:x", "tpu"):
        done = m.call("train", "--model", "vae", "--data", "digits", "--steps", 1, "--device", device, "--out",
                      m.runs / "none", expect=4)
        if "have:" not in done.stderr and "expected" not in done.stderr:
            raise Failed(done.stderr)
    if m.device == "cpu":
        return {}
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = m.call("train", "--model", "vae", "--data", "digits", "--steps", 1, "--device", "cuda", "--out",
                  m.runs / "none", expect=4, env=hidden)
    doctor = m.call("doctor", env=hidden).stdout
    copy = m.runs / "gone"
    shutil.copytree(m.runs / f"vae-{m.device[:3]}", copy, dirs_exist_ok=True)
    gone = m.call("train", "--resume", copy, "--steps", 230, expect=4, env=hidden)
    return {"hidden": done.stderr.strip().splitlines()[-1], "gone": gone.stderr.strip().splitlines()[-1],
            "doctor": doctor}


@check
def steps(m):
    """Milliseconds a step against PyTorch on the same device: eager, torch.compile, and its CUDA graphs."""
    found = {}
    on_gpu = m.device != "cpu"
    count, peer = (600 if on_gpu else 30), [sys.executable, str(m.peer)]
    presets, precisions = (TIMED, m.precisions) if on_gpu else (TIMED[:1], ["float32"])
    # Compilers first, all at once; what they made is found again when it is timed.
    slow = [[*peer, m.device, preset, precisions[0], mode, "2"] for preset in presets for mode in m.modes
            if mode != "eager"]
    with concurrent.futures.ThreadPoolExecutor(max(1, (os.cpu_count() or 2) // 2)) as pool:
        list(pool.map(lambda words: m.time_peer(words, 90), slow))
    for preset in presets:
        data = "shakespeare" if "transformer" in preset else "digits"
        found[preset] = {}
        for precision in precisions:
            m.train("timed", "--model", preset, "--data", data, "--precision", precision, "--steps", count,
                    "--log-every", count // 3, *QUIET)
            lines = m.log("timed")
            ours = 1000 * (lines[-1]["seconds"] - lines[0]["seconds"]) / (lines[-1]["step"] - lines[0]["step"])
            row = {"genai": ours}
            for mode in m.modes if precision == "bfloat16" or not on_gpu else ["eager"]:
                row[mode] = m.time_peer([*peer, m.device, preset, precision, mode, str(count // 3)], 40)
            found[preset][precision] = row
    return found


@check
def rates(m):
    """Samples and tokens a second, by the difference of two numbers of them."""
    found = {}
    for family, most in (("vae", 40000), ("gan", 20000), ("diffusion", 2048)):
        run = m.runs / f"{family}-{m.device[:3]}"
        times = []
        for n in (16, most):
            begin = time.perf_counter()
            m.call("sample", run, "-n", n, "--scale", 1, "--device", m.device, "--out", m.out / "many.png")
            times.append(time.perf_counter() - begin)
        found[family] = (most - 16) / (times[1] - times[0])
    run = m.runs / f"transformer-{m.device[:3]}"
    times = []
    for n in (1, 9):
        begin = time.perf_counter()
        m.call("sample", run, "-n", n, "--length", 1000, "--device", m.device, "--json")
        times.append(time.perf_counter() - begin)
    found["transformer, tokens (written on the CPU)"] = 8000 / (times[1] - times[0])
    return found


@check
def nanogpt(m):
    """transformer-nanogpt whole: validation loss and minutes."""
    if m.device == "cpu":
        return {"left out": "hours on a CPU"}
    begin = time.perf_counter()
    m.train("nanogpt", "--model", "transformer-nanogpt")
    spent = time.perf_counter() - begin
    losses = [line["test"]["loss"] for line in m.log("nanogpt", "test")]
    return {"seconds": spent, "best": min(losses), "last": losses[-1]}


def markdown(results):
    lines = [f"{results['machine']}; LibTorch {results['torch']}.", ""]
    for name, function in CHECKS:
        outcome = results["checks"].get(name)
        if not outcome:
            continue
        lines += [f"### {name}", "", " ".join(function.__doc__.split()), ""]
        lines += [f"{'as it should be' if outcome['ok'] else 'FAILED'}, {outcome['seconds']:.0f} s"]
        if not outcome["ok"]:
            lines += ["", "```", outcome["what"], "```"]
        elif outcome["found"]:
            lines += ["", "```", json.dumps(outcome["found"], indent=1), "```"]
        lines.append("")
    table = results["checks"].get("steps", {})
    if table.get("ok"):
        lines += ["| preset | precision | genai, ms a step | eager | compiled | reduce-overhead |",
                  "| --- | --- | --- | --- | --- | --- |"]
        for preset, rows in table["found"].items():
            for precision, row in rows.items():
                show = lambda mode: (f"{row[mode]:.2f} ({row['genai'] / row[mode]:.2f})"
                                     if isinstance(row.get(mode), float) else str(row.get(mode, ""))[:60])
                lines.append(f"| `{preset}` | {precision} | {row['genai']:.2f} | {show('eager')} | "
                             f"{show('compiled')} | {show('overhead')} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--spent", type=float, default=0, help="seconds of the minutes that are gone")
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("build/cuda-check"))
    parser.add_argument("--only", default="", help="names of checks, with commas between them")
    parser.add_argument("--modes", default="eager,compiled,overhead", help="of PyTorch, to be timed")
    parser.add_argument("--precisions", default="bfloat16,float32", help="in which steps are timed")
    arguments = parser.parse_args()
    begun = time.monotonic() - arguments.spent
    out = arguments.out.resolve()
    (out / "runs").mkdir(parents=True, exist_ok=True)
    m = Machine(arguments.build.resolve(), out, arguments.device, arguments.modes.split(","),
                arguments.precisions.split(","))
    library = hashlib.sha256((arguments.build / "lib/libgenai_verbs.so").read_bytes()).hexdigest()
    file = out / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    if results.get("library") != library or results.get("device") != arguments.device:
        doctor = json.loads(m.call("doctor", "--json").stdout)
        results = {"library": library, "device": arguments.device, "checks": {}, "doctor": doctor,
                   "machine": doctor["devices"], "torch": doctor["LibTorch"]}
    wanted = arguments.only.split(",") if arguments.only else [name for name, _ in CHECKS]
    left = []
    for name, function in CHECKS:
        if name not in wanted or results["checks"].get(name, {}).get("ok"):
            continue
        if time.monotonic() - begun > 60 * arguments.minutes:
            left.append(name)
            continue
        begin = time.monotonic()
        try:
            outcome = {"ok": True, "found": function(m)}
        except Exception as error:   # the others go on
            outcome = {"ok": False, "what": f"{type(error).__name__}: {error}"}
        outcome["seconds"] = time.monotonic() - begin
        results["checks"][name] = outcome
        print(f"{name}: {'as it should be' if outcome['ok'] else 'FAILED'} ({outcome['seconds']:.0f} s)", flush=True)
        if not outcome["ok"]:
            print("   " + outcome["what"][:1500].replace("\n", "\n   "), flush=True)
        file.write_text(json.dumps(results, indent=1))
        (out / "results.md").write_text(markdown(results))
    if left:
        print(f"no time left for: {', '.join(left)}; a second start goes on with them", flush=True)
    sys.exit(any(not outcome["ok"] for outcome in results["checks"].values()))


if __name__ == "__main__":
    main()
