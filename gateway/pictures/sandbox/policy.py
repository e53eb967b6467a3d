"""Which system calls a decoding process may make once everything it needs is loaded. Alone knows why each is there.

What `strace` saw over the hostile corpus, every format and every mask, and beside it what the C library, its threads
and its allocator do elsewhere, and what a crash does to tell of itself. In the order of how often they come.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence

from gateway.pictures.sandbox import bpf
from gateway.pictures.sandbox.bpf import Argument, Program
from gateway.pictures.sandbox.system_calls import Architecture

#: sched.h: what makes a new thread of this process (CLONE_VM … CLONE_CHILD_CLEARTID); musl adds CLONE_DETACHED.
_A_THREAD, _DETACHED = 0x3D0F00, 0x400000
_PROT_EXEC, _RLIMIT_AS, _AT_EMPTY_PATH = 4, 9, 0x1000
_MFD_CLOEXEC_AND_SEALING = 3
#: fcntl.h: F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC, F_ADD_SEALS, F_GET_SEALS. None that sends signals.
_FCNTL = (0, 1, 2, 3, 1030, 1033, 1034)
#: Advice from here on takes pages of memory out of the machine's use.
_MADVISE_HARMLESS = 0xFFFFFFE0

_ALWAYS = (
    *("lseek", "read", "setitimer", "recvmsg", "sendmsg", "pread64", "close", "write", "brk", "munmap", "futex"),
    *("ftruncate", "fstat", "mremap", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "pwrite64"),
    *("readv", "writev", "dup", "dup3", "getpid", "gettid", "getppid", "getrandom", "clock_gettime", "clock_getres"),
    *("clock_nanosleep", "nanosleep", "gettimeofday", "getrusage", "sched_yield", "sched_getaffinity", "getcpu"),
    *("set_robust_list", "rseq", "restart_syscall", "poll", "ppoll", "uname", "sysinfo", "exit", "exit_group"),
    *("getuid", "geteuid", "getgid", "getegid"),
)

#: What honest code tries and does without. Every other call is refused with EPERM.
_ANSWERS = {
    "clone3": errno.ENOSYS,  # its flags lie in memory, which no filter reads; the C library then asks with clone
    "ioctl": errno.ENOTTY,
    **dict.fromkeys(("open", "openat", "openat2", "stat", "lstat", "statx"), errno.EACCES),
    **dict.fromkeys(("access", "faccessat", "faccessat2", "readlink", "readlinkat"), errno.EACCES),
}

#: What no decoder does by mistake: whoever does is an intruder.
_DEADLY = (
    *("execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd"),
    *("socket", "socketpair", "connect", "bind", "mount", "umount2", "pivot_root", "chroot", "move_mount", "unshare"),
    *("setns", "open_by_handle_at", "bpf", "init_module", "finit_module", "delete_module", "kexec_load"),
    "kexec_file_load",
)


def program(machine: Architecture, pid: int) -> Program:
    """The judgement of every system call of process `pid` on this machine."""
    parts = [bpf.machine(machine.audit_arch, machine.foreign_from)]
    parts += [bpf.call(machine.numbers[name], judged) for name, judged in _judged(pid) if name in machine.numbers]
    return [step for part in parts for step in part] + bpf.end(bpf.refusing(errno.EPERM))


def _judged(pid: int) -> Iterator[tuple[str, Program]]:
    """Each call with what becomes of it."""
    conditions = dict(_conditions(pid))
    frequent = ("lseek", "setitimer", "prlimit64", "recvmsg", "sendmsg", "madvise", "pread64", "mmap")
    for name in dict.fromkeys((*frequent, *_ALWAYS, *conditions)):
        alternatives, otherwise = conditions.get(name, ((), bpf.ALLOW))
        yield name, bpf.either(alternatives, otherwise)
    for name, error in _ANSWERS.items():
        yield name, bpf.end(bpf.refusing(error))
    for name in _DEADLY:
        yield name, bpf.end(bpf.KILL)


Alternatives = Sequence[Sequence[Argument]]


def _conditions(pid: int) -> Iterator[tuple[str, tuple[Alternatives, int]]]:
    """Calls that are right with some arguments only: (the alternatives, the verdict otherwise)."""
    refused = bpf.refusing(errno.EPERM)
    not_executable, itself = [[Argument(2, 0, mask=_PROT_EXEC)]], [[Argument(0, pid)]]
    own_memory, only_asked = [Argument(0, 0), Argument(1, _RLIMIT_AS)], [Argument(0, 0), Argument(2, 0, whole=True)]
    yield "prlimit64", ([own_memory, only_asked], refused)
    yield "madvise", ([[Argument(2, 0, mask=_MADVISE_HARMLESS)]], bpf.refusing(errno.EINVAL))
    yield "mmap", (not_executable, refused)
    yield "mprotect", (not_executable, refused)
    yield "newfstatat", ([[Argument(3, _AT_EMPTY_PATH)]], bpf.refusing(errno.EACCES))  # as the C library's fstat
    yield "fcntl", ([[Argument(1, command)] for command in _FCNTL], bpf.refusing(errno.EINVAL))
    yield "memfd_create", ([[Argument(1, _MFD_CLOEXEC_AND_SEALING)]], refused)
    yield "clone", ([[Argument(0, _A_THREAD)], [Argument(0, _A_THREAD | _DETACHED)]], bpf.KILL)
    yield "tgkill", (itself, refused)
    yield "tkill", (itself, refused)
