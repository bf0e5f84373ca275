"""Work in threads, whose results are used in order."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from typing import TypeVar

from monet.machine import keep_freed_memory

T = TypeVar("T")


@contextlib.contextmanager
def thread_pool(workers: int, begin: Callable[[], object] | None = None) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads that ends with the block. Where an error ends that, what has not begun is dropped; a plain
    `ThreadPoolExecutor` would do all of it first.

    Args:
        workers: threads.
        begin: called in each of them first.
    """
    pool = ThreadPoolExecutor(workers, initializer=begin)
    try:
        yield pool
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


@contextlib.contextmanager
def compute_threads(workers: int, threads_each: int = 1) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads that compute side by side: none of them waits for another, as OpenMP's do at every layer.

    PyTorch's number of threads is the process's in part, so it is put back at the end.

    Args:
        workers: threads of the pool.
        threads_each: OpenMP threads that each of them computes with.
    """
    import torch

    keep_freed_memory()
    threads = torch.get_num_threads()
    try:
        with thread_pool(workers, lambda: torch.set_num_threads(threads_each)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)


def in_order(calls: Sequence[Callable[[], T]], pool: Executor | None = None) -> Iterator[T]:
    """Returns the results of calls in their order, whether they are made one after the other or, in a pool, at the same
    time.

    Where one of them raises, those that run already are waited for first.
    """
    if pool is None:
        yield from (call() for call in calls)
        return
    futures = deque(pool.submit(call) for call in calls)
    try:
        while futures:
            yield futures.popleft().result()  # kept no longer than it takes to use it
    finally:
        for future in futures:
            future.cancel()
        wait(futures)


def ahead(items: Iterable[T], depth: int) -> Iterator[T]:
    """Returns the same items, each given out only when `depth` more have been taken: what taking one starts, such as
    the submission of a future, is under way by then, and no more than that."""
    started: deque[T] = deque()
    for item in items:
        started.append(item)
        if len(started) > depth:
            yield started.popleft()
    yield from started
