"""The numbers of system calls on the machines we know. Alone knows them.

Source: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h, include/uapi/linux/audit.h.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Architecture:
    """audit_arch: the kernel's name for it. foreign_from: from here on numbers mean calls of a second kind (x32)."""

    audit_arch: int
    numbers: dict[str, int]
    foreign_from: int | None = None


#: (x86_64, aarch64); None where that machine has no such call.
_NUMBERS: dict[str, tuple[int, int | None]] = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67), "pwrite64": (18, 68),
    "lseek": (8, 62), "close": (3, 57), "fstat": (5, 80), "newfstatat": (262, 79), "ftruncate": (77, 46),
    "fcntl": (72, 25), "dup": (32, 23), "dup3": (292, 24), "recvmsg": (47, 212), "sendmsg": (46, 211),
    "memfd_create": (319, 279), "brk": (12, 214), "mmap": (9, 222), "munmap": (11, 215), "mremap": (25, 216),
    "mprotect": (10, 226), "madvise": (28, 233), "futex": (202, 98), "set_robust_list": (273, 99), "rseq": (334, 293),
    "clone": (56, 220), "clone3": (435, 435), "sched_yield": (24, 124), "sched_getaffinity": (204, 123),
    "getcpu": (309, 168), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132), "setitimer": (38, 103), "tgkill": (234, 131), "tkill": (200, 130),
    "restart_syscall": (219, 128), "getpid": (39, 172), "gettid": (186, 178), "getppid": (110, 173),
    "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177), "getrandom": (318, 278),
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "nanosleep": (35, 101),
    "gettimeofday": (96, 169), "getrusage": (98, 165), "prlimit64": (302, 261), "uname": (63, 160),
    "sysinfo": (99, 179), "poll": (7, None), "ppoll": (271, 73), "exit": (60, 93), "exit_group": (231, 94),
    "open": (2, None), "openat": (257, 56), "openat2": (437, 437), "stat": (4, None), "lstat": (6, None),
    "statx": (332, 291), "access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439),
    "readlink": (89, None), "readlinkat": (267, 78), "ioctl": (16, 29),
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438),
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "move_mount": (429, 429),
    "open_by_handle_at": (304, 265), "unshare": (272, 97), "setns": (308, 268), "bpf": (321, 280),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "seccomp": (317, 277),
}  # fmt: skip

#: The same on every machine but alpha.
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446


def _numbers(column: int) -> dict[str, int]:
    return {name: number for name, row in _NUMBERS.items() if (number := row[column]) is not None}


#: By what `platform.machine()` says.
MACHINES = {
    "x86_64": Architecture(0xC000003E, _numbers(0), foreign_from=0x40000000),
    "aarch64": Architecture(0xC00000B7, _numbers(1)),
}
