"""What this machine's processor can do, as far as it decides how networks are prepared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shared.gpus import gpus_to_use

_CPU_INFO = Path("/proc/cpuinfo")
#: onnxruntime computes float convolutions in blocks of 16 channels with AVX-512.
AVX512_BLOCK = 16
#: Tensor cores take half-precision channels by eights; the narrowest maps of SCRFD have 12 and 28.
GPU_BLOCK = 8
#: Instructions that sum products of bytes without saturating in between (VNNI; on ARM the dot products).
_BYTE_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "avx512vnni", "avxvnni", "asimddp"})


@dataclass(frozen=True, slots=True)
class Machine:
    """on_cpu: whether networks will run on the processor and not on a GPU.

    float_block: channels that float kernels take at once, on the processor or the card; 1 where widening does not pay.
    byte_products: whether int8 is exact in full range here, and fast.
    """

    on_cpu: bool
    float_block: int
    byte_products: bool


def this_machine(accelerator: str) -> Machine:
    """Reads the processor's flags and asks for GPUs. accelerator: the setting."""
    try:
        flags = flags_of(_CPU_INFO.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        flags = frozenset()
    return machine_with(flags, on_cpu=not gpus_to_use(accelerator))


def flags_of(cpu_info: str) -> frozenset[str]:
    """The flags of the first processor in the text of /proc/cpuinfo (x86: flags, ARM: Features)."""
    for line in cpu_info.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def machine_with(flags: frozenset[str], *, on_cpu: bool) -> Machine:
    """The machine of these processor flags."""
    block = GPU_BLOCK if not on_cpu else AVX512_BLOCK if "avx512f" in flags else 1
    return Machine(on_cpu, block, on_cpu and bool(flags & _BYTE_PRODUCTS))
