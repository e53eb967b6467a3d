"""The batch sizes a GPU runs: few and fixed, so that each is tuned, recorded and allocated for before serving."""

from __future__ import annotations

from bisect import bisect_left

#: Denser than powers of two, which waste up to half a run on padding (TensorRT-LLM #12895, FastDeploy #2844).
SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


def buckets_up_to(max_batch: int) -> tuple[int, ...]:
    """Every size below `max_batch`, and that itself, ascending."""
    assert max_batch >= 1
    return (*(size for size in SIZES if size < max_batch), max_batch)


def bucket_for(count: int, buckets: tuple[int, ...]) -> int:
    """The smallest bucket that holds `count` pictures."""
    assert 1 <= count <= buckets[-1], (count, buckets)
    return buckets[bisect_left(buckets, count)]
