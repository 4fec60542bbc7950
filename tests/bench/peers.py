"""Python's pools beside rankpool: each runs in turn with it, five rounds, one worker; lumpy maps (tests/bench/balance.c)
three rounds, three workers. Prints lines as tests/bench/common/figure.h does.

  peers.py                 all rounds; needs BUILD
  peers.py sample NAME     one peer's rate
  peers.py lumpy NAME SHAPE    one peer's seconds
"""
import concurrent.futures
import multiprocessing
import os
import statistics
import subprocess
import sys
import time

ROUNDS = 5
APPLIES = 3000
SUBMITS = 3000
ITEMS = 2000000
LUMPY_ROUNDS = 3
LUMPY_WORKERS = 3


def twice(x):
    return 2 * x


def rate(count, begin):
    return count / (time.perf_counter() - begin)


def submit_and_get(pool):
    pool.submit(twice, 0.0).result()  # starts the worker
    begin = time.perf_counter()
    futures = [pool.submit(twice, float(i)) for i in range(SUBMITS)]
    for future in futures:
        future.result()
    return rate(SUBMITS, begin)


def mpi_futures():
    from mpi4py.futures import MPIPoolExecutor

    with MPIPoolExecutor(max_workers=1) as pool:
        return submit_and_get(pool)


def executor():
    with concurrent.futures.ProcessPoolExecutor(max_workers=1) as pool:
        return submit_and_get(pool)


def pool_map():
    items = [float(i) for i in range(ITEMS)]
    with multiprocessing.Pool(1) as pool:
        pool.apply(twice, (0.0,))
        begin = time.perf_counter()
        pool.map(twice, items)
        return rate(ITEMS, begin)


def pool_apply():
    with multiprocessing.Pool(1) as pool:
        pool.apply(twice, (0.0,))
        begin = time.perf_counter()
        for i in range(APPLIES):
            pool.apply(twice, (float(i),))
        return rate(APPLIES, begin)


SAMPLES = {
    "mpi4py.futures": mpi_futures,
    "ProcessPoolExecutor": executor,
    "Pool.map": pool_map,
    "Pool.apply": pool_apply,
}
# what of rankpool each is compared with: the row of rate.c, the name and unit of the figure
ROWS = {
    "mpi4py.futures": ("submit", "peer-submit", "tasks/s"),
    "ProcessPoolExecutor": ("submit", "peer-submit", "tasks/s"),
    "Pool.map": ("map", "peer-map", "items/s"),
    "Pool.apply": ("apply", "peer-apply", "tasks/s"),
}


def nap(seconds):
    if seconds > 0:
        time.sleep(seconds)


def lumps(shape):
    """The items' seconds, as in tests/bench/balance.c."""
    if shape == "half":
        return [0] * 12 + [0.1] * 12
    if shape == "mostly":
        return [0] * 9960 + [0.05] * 40
    if shape == "ramp":
        return [1e-4 * i for i in range(200)]
    if shape == "tens":
        return [0.02 if i // 10 % 2 else 0 for i in range(200)]
    items = [5e-3] * 200
    items[{"first": 0, "middle": 100, "last": 199}[shape]] = 0.2
    return items


def seconds_of_map(pool, shape):
    list(pool.map(nap, [0.05] * LUMPY_WORKERS))  # starts the workers
    begin = time.perf_counter()
    list(pool.map(nap, lumps(shape)))
    return time.perf_counter() - begin


def lumpy_pool_map(shape):
    with multiprocessing.Pool(LUMPY_WORKERS) as pool:
        return seconds_of_map(pool, shape)


def lumpy_mpi_futures(shape):
    from mpi4py.futures import MPIPoolExecutor

    with MPIPoolExecutor(max_workers=LUMPY_WORKERS) as pool:
        return seconds_of_map(pool, shape)


LUMPY = {"Pool.map": lumpy_pool_map, "mpi4py.futures": lumpy_mpi_futures}
SHAPES = ("half", "mostly", "ramp", "first", "middle", "last", "tens")


def run(command):
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    lines = result.stdout.split()
    if result.returncode != 0 or not lines:
        return None
    return float(lines[-1])


def sample(name):
    if name != "mpi4py.futures":
        return run([sys.executable, __file__, "sample", name])
    return run(["scripts/mpirun.sh", "-n", "2", sys.executable, "-m", "mpi4py.futures", __file__, "sample", name])


def lumpy_sample(name, shape):
    words = [__file__, "lumpy", name, shape]
    if name != "mpi4py.futures":
        return run([sys.executable] + words)
    ranks = str(LUMPY_WORKERS + 1)
    return run(["scripts/mpirun.sh", "-n", ranks, sys.executable, "-m", "mpi4py.futures"] + words)


def lumpy_ours(program, shape):
    command = ["scripts/mpirun.sh", "-n", str(LUMPY_WORKERS + 1), program, "balance-lumpy-" + shape]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    words = result.stdout.split()
    return float(words[2]) if result.returncode == 0 and len(words) > 2 else None


def lumpy(peers):
    """Seconds of each shape beside each peer's; a ratio under 1: rankpool is faster."""
    program = os.path.join(os.environ.get("BUILD", "build"), "tests/bench/balance")
    for shape in SHAPES:
        rounds = [(lumpy_ours(program, shape), {name: lumpy_sample(name, shape) for name in peers}) for _ in range(LUMPY_ROUNDS)]
        for name in peers:
            pairs = [(ours, theirs[name]) for ours, theirs in rounds if ours and theirs[name]]
            if len(pairs) < LUMPY_ROUNDS:
                print(f"peers.py: lumpy {shape}, {name}: {LUMPY_ROUNDS - len(pairs)} rounds failed", file=sys.stderr)
                continue
            value, peer = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
            ratio = statistics.median(a / b for a, b in pairs)
            print(f"bench peer-lumpy-{shape} {value:.4g} s  {name} {peer:.4g}  ratio {ratio:.4g}", flush=True)


def installed(name):
    if name != "mpi4py.futures":
        return True
    return subprocess.run([sys.executable, "-c", "import mpi4py.futures"], stderr=subprocess.DEVNULL, check=False).returncode == 0


def main():
    program = os.path.join(os.environ.get("BUILD", "build"), "tests/bench/rate")
    peers = [name for name in SAMPLES if installed(name)]
    ours = {row: [] for row, _, _ in ROWS.values()}
    theirs = {name: [] for name in peers}
    for _ in range(ROUNDS):
        for row in ours:
            ours[row].append(run(["scripts/mpirun.sh", "-n", "2", program, row]))
        for name in peers:
            theirs[name].append(sample(name))
    for name in peers:
        row, figure, unit = ROWS[name]
        pairs = [(a, b) for a, b in zip(ours[row], theirs[name]) if a and b]
        if len(pairs) < ROUNDS:
            print(f"peers.py: {name}: {ROUNDS - len(pairs)} of {ROUNDS} rounds failed", file=sys.stderr)
            continue
        value = statistics.median(a for a, _ in pairs)
        peer = statistics.median(b for _, b in pairs)
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"bench {figure} {value:.4g} {unit}  {name} {peer:.4g}  ratio {ratio:.4g}", flush=True)
    lumpy([name for name in peers if name in LUMPY])


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "sample":
        print(SAMPLES[sys.argv[2]]())
    elif len(sys.argv) == 4 and sys.argv[1] == "lumpy":
        print(LUMPY[sys.argv[2]](sys.argv[3]))
    else:
        main()
