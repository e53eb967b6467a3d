"""What libraries are told in a process that decodes: by its environment, which they read once, when they are loaded."""

from __future__ import annotations

from shared.settings import MEBIBYTE, DecodingSettings

#: For glibc's allocator. Up to 32 MiB of freed memory are kept: giving a picture's pages back and faulting them in
#: again for the next one costs half as much as decoding it. Larger pictures come fresh from the kernel and go back at
#: once; by huge pages, where it has them, that is a third of the price. One arena, for the threads of `libjpeg.py`
#: too: it is the one whose pages are kept.
ALLOCATOR = {
    "MALLOC_TRIM_THRESHOLD_": str(32 * MEBIBYTE),
    "MALLOC_MMAP_THRESHOLD_": str(32 * MEBIBYTE),
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
