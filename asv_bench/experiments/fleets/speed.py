"""Seconds and memory of a simulated fleet, in a process of its own."""

import os
import time
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from detectors import DETECTORS
from joblib.externals.loky import get_reusable_executor
from scipy.signal import lfilter

from skad import M2AD

_MB = 2**20


def simulated(n_systems, n_sensors, n_steps, seed=0):
    """Return a fleet: sensors follow the load and the day of their system."""
    rng = np.random.default_rng(seed)
    X = np.empty((n_systems * n_steps, n_sensors + 1))
    day = np.sin(2 * np.pi * np.arange(n_steps) / 1440)[:, np.newaxis]
    for system in range(n_systems):
        rows = slice(system * n_steps, (system + 1) * n_steps)
        noise = rng.standard_normal((n_steps, n_sensors + 1))
        noise = lfilter([1], [1, -0.9], noise, axis=0)
        load, own = noise[:, :1], noise[:, 1:]
        weights = rng.standard_normal((2, n_sensors))
        X[rows, 0] = system
        X[rows, 1:] = load * weights[0] + 3 * day * weights[1] + own
    return X


def speed(name, counts, n_sensors, n_steps, jobs):
    """Print the seconds, and the memory that fit and score take beside the data.

    Seconds are by the clock, and of all processors together.
    """
    print(f"{name}: {n_sensors} sensors x {n_steps} steps")
    print("systems  jobs  data MB   fit s  cpu s  MB beside  score s  cpu s  MB beside")
    for n_jobs in jobs:
        for n_systems in counts:
            shape = (n_systems, n_sensors, n_steps)
            (base, *_), *parts = watched(_work, (name, shape, n_jobs))
            data = n_systems * n_steps * (n_sensors + 1) * 8 / _MB
            print(f"{n_systems:7d} {n_jobs:5d} {data:8.0f}", end=" ")
            for peak, seconds, cpu in parts:
                print(f"{seconds:7.1f} {cpu:6.1f} {peak - base:10.0f}", end=" ")
            print(flush=True)


def _work(marks, name, shape, n_jobs):
    X = simulated(*shape)
    params = {"system": 0, "n_jobs": n_jobs, "random_state": 0, **DETECTORS[name]}
    # Imports and compiled kernels are paid for before.
    few = np.concatenate([X[:200], X[-200:]])
    M2AD(**params).fit(few).score_samples(few)
    marks.send("data")
    time.sleep(0.5)
    marks.send("fit")
    detector = M2AD(**params).fit(X)
    marks.send("score")
    detector.score_samples(X)
    marks.send(None)
    marks.recv()  # the books of a process end with it
    get_reusable_executor().shutdown()  # it would be waited for, five minutes long


def watched(function, arguments):
    """Return the peak memory in MB, and the seconds, between the marks of a process.

    All is of the process and of those that it starts. What several of them share in
    memory is counted once. Seconds are by the clock, and of all processors.
    """
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=function, args=(there, *arguments))
    process.start()
    there.close()
    parts = []
    mark = here.recv()
    while mark is not None:
        start, peak, cpu = time.perf_counter(), 0, _cpu_seconds(process.pid)
        while not here.poll(0.1):
            peak = max(peak, _memory(process.pid))
        seconds = time.perf_counter() - start
        parts.append((peak / _MB, seconds, _cpu_seconds(process.pid) - cpu))
        mark = here.recv()
    here.send(None)
    process.join()
    return parts


def _memory(pid):
    """Return the bytes of a process and its descendants."""
    books = "\n".join(_read(pid, "smaps_rollup")).splitlines()
    return 1024 * sum(int(line.split()[1]) for line in books if line[:4] == "Pss:")


def _cpu_seconds(pid):
    """Return the processor time of a process and its descendants."""
    # What follows the name: user and system time, and those of children that ended.
    ticks = [line.rpartition(")")[2].split()[11:15] for line in _read(pid, "stat")]
    return sum(map(int, chain(*ticks))) / os.sysconf("SC_CLK_TCK")


def _read(pid, name):
    """Return what Linux says of a process and of its descendants."""
    found, todo = [], [pid]
    while todo:
        folder = Path("/proc") / str(todo.pop())
        try:
            found.append((folder / name).read_text())
            for task in os.listdir(folder / "task"):
                children = (folder / "task" / task / "children").read_text()
                todo += children.split()
        except OSError:  # it has ended meanwhile
            continue
    return found
