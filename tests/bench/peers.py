"""Python's pools beside rankpool: each runs in turn with it, five rounds, one worker; prints lines as tests/bench/common/figure.h does.

  peers.py                 all rounds; needs BUILD
  peers.py sample NAME     one peer's rate
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


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "sample":
        print(SAMPLES[sys.argv[2]]())
    else:
        main()
