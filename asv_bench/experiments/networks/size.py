"""What a large network costs: seconds of one thread, and memory."""

import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor

import torch
from benchmarks.canemon import make_cells, make_detector
from experiments.fleets.runs import run_missing
from experiments.networks.measures import show

# Cells and time steps.
_SIZES = ((1000, 500), (2000, 500), (4000, 500))


def size(folder, path, n_seeds, n_jobs):
    """Fit to networks, for one epoch, and score them; print the table."""
    runs = [
        ({"cells": n_cells, "steps": n_steps, "seed": 0}, _measured, (n_cells, n_steps))
        for n_cells, n_steps in _SIZES
    ]
    show(run_missing(path, runs, n_jobs), ["cells", "steps"])


def _measured(n_cells, n_steps):
    # The peak of a process never falls: each size has one of its own.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_in_process, n_cells, n_steps).result()


def _in_process(n_cells, n_steps):
    torch.set_num_threads(1)
    make_detector().fit(make_cells(50, 60))  # compiles
    X = make_cells(n_cells, n_steps)
    before = _peak()
    start = time.process_time()
    detector = make_detector().fit(X)
    fitted = time.process_time()
    detector.score_samples(X)
    scored = time.process_time()
    epoch = detector.history_[0]["dur"]
    return [
        {
            "us a row and epoch": 1e6 * epoch / len(X),
            "us a row to fit otherwise": 1e6 * (fitted - start - epoch) / len(X),
            "us a row to score": 1e6 * (scored - fitted) / len(X),
            "bytes a row": (_peak() - before) / len(X),
        }
    ]


def _peak():
    """Return the peak memory of the process so far, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
