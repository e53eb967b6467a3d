"""What libraries are told in a process that decodes: by its environment, which they read once, when they are loaded."""

from __future__ import annotations

from shared.settings import MEBIBYTE, DecodingSettings

#: Freed memory that a process which works may keep. Giving a picture's pages back and faulting them in again for the
#: next one costs up to a quarter of its decoding. One that has nothing to do keeps less (`picture_child.py`).
KEPT_BYTES = 128 * MEBIBYTE
#: For glibc's allocator. No picture is mapped by itself: what is goes back when it is freed, however soon the next one
#: comes, and no limit for that can be set above 32 MiB, less than 12 megapixels. Huge pages, where the kernel has them.
#: One arena, for the threads of `libjpeg_calls.py` too: it is the one whose pages are kept.
ALLOCATOR = {
    "MALLOC_TRIM_THRESHOLD_": str(KEPT_BYTES),
    "MALLOC_MMAP_MAX_": "0",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1",
}


def for_libraries(settings: DecodingSettings) -> dict[str, str]:
    """The variables for OpenCV, its BLAS and the C library."""
    return {
        "OPENCV_IO_MAX_IMAGE_PIXELS": str(settings.max_pixels),
        "OPENCV_LOG_LEVEL": "ERROR",
        "OPENBLAS_NUM_THREADS": "1",
        **ALLOCATOR,
    }
