"""Real picture children that try to get out: `python -m tests.unit.pictures.prisoner FOLDER` tries every way there is.

Attempts are made in the place of decoding, behind the closed door, with the raw system call where a library would stop
earlier; deadly ones by a child each. Prints JSON: {attempt: [how the child ended, what it said]}.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import mmap
import os
import platform
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import msgspec

from gateway.pictures import picture_child
from gateway.pictures.anonymous_memory import Slab
from gateway.pictures.headers.facts import Header
from gateway.pictures.picture_messages import PACKET_BYTES_MAX, FromChild, Open
from gateway.pictures.rehearsal import rehearse
from gateway.pictures.sandbox import kernel, landlock, seccomp
from gateway.pictures.sandbox.system_calls import MACHINES
from shared.environment import load_decoding
from shared.errors import BadImage

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else "/tmp")
VICTIM = FOLDER / "victim"
PARENT = os.getpid()
#: Of calls that the sandbox has no name for: (x86_64, aarch64).
OTHER_NUMBERS = {
    "unlinkat": (263, 35), "renameat2": (316, 276), "linkat": (265, 37), "symlinkat": (266, 36), "mkdirat": (258, 34),
    "truncate": (76, 45), "fchmodat": (268, 53), "fchownat": (260, 54), "mknodat": (259, 33), "getdents64": (217, 61),
    "kill": (62, 129), "rt_sigqueueinfo": (129, 138), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424),
    "io_uring_setup": (425, 425), "userfaultfd": (323, 282), "perf_event_open": (298, 241), "keyctl": (250, 219),
    "add_key": (248, 217), "personality": (135, 92), "prctl": (157, 167), "seccomp": (317, 277),
    "landlock_create_ruleset": (444, 444), "shmget": (29, 194), "msgget": (68, 186), "mq_open": (240, 180),
    "inotify_init1": (294, 26), "fanotify_init": (300, 262), "setpriority": (141, 140), "sched_setaffinity": (203, 122),
    "setuid": (105, 146), "capset": (126, 91), "reboot": (169, 142), "swapon": (167, 224), "sethostname": (170, 161),
    "clock_settime": (227, 112), "acct": (163, 89), "quotactl": (179, 60), "memfd_secret": (447, 447),
    "process_madvise": (440, 440), "kcmp": (312, 272), "chdir": (80, 49), "getcwd": (79, 17), "statfs": (137, 43),
    "name_to_handle_at": (303, 264), "fsopen": (430, 430), "open_tree": (428, 428), "splice": (275, 76), "tee": (276, 77),
    "vmsplice": (278, 75), "pkey_mprotect": (329, 288), "remap_file_pages": (216, 234), "ioperm": (173, None),
    "modify_ldt": (154, None), "timer_create": (222, 107), "sendto": (44, 206), "accept4": (288, 242),
    "setxattr": (188, 5), "utimensat": (280, 88), "fallocate": (285, 47), "copy_file_range": (326, 285),
    "syslog": (103, 116), "arch_prctl": (158, None), "setrlimit": (160, 164), "setsid": (112, 157),
}  # fmt: skip

library = ctypes.CDLL(None, use_errno=True)
_COLUMN = ("x86_64", "aarch64").index(platform.machine())
NUMBERS = MACHINES[platform.machine()].numbers | {
    name: row[_COLUMN] for name, row in OTHER_NUMBERS.items() if row[_COLUMN] is not None
}

Attempt = Callable[[], object]
ARRAY = ctypes.create_string_buffer(4096)
MEMORY = ctypes.addressof(ARRAY)


def raw(name: str, *arguments: int) -> int:
    """The system call itself. Raises OSError."""
    answer = library.syscall(ctypes.c_long(NUMBERS[name]), *map(ctypes.c_long, arguments))
    if answer < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return answer


def text(value: str | Path) -> int:
    """The address of a C string that stays."""
    kept.append(ctypes.create_string_buffer(str(value).encode()))
    return ctypes.addressof(kept[-1])


kept: list[ctypes.Array[ctypes.c_char]] = []
AT_FDCWD = -100


def _files() -> dict[str, Attempt]:
    victim, other = text(VICTIM), text(FOLDER / "other")
    return {
        "read a file": VICTIM.read_bytes,
        "write a file": lambda: VICTIM.write_bytes(b"changed"),
        "make a file": lambda: (FOLDER / "other").write_bytes(b"new"),
        "list a folder": lambda: list(FOLDER.iterdir()),
        "read /proc/self/mem": lambda: os.open("/proc/self/mem", os.O_RDWR),
        "read the gateway's memory": lambda: os.open(f"/proc/{PARENT}/mem", os.O_RDWR),
        "read the gateway's environment": lambda: os.open(f"/proc/{PARENT}/environ", os.O_RDONLY),
        "open through a descriptor": lambda: os.open("../../etc/passwd", os.O_RDONLY, dir_fd=0),
        "open by openat2": lambda: raw("openat2", AT_FDCWD, victim, MEMORY, 24),
        "look at a file": VICTIM.stat,
        "ask where a link leads": Path("/proc/self/exe").readlink,
        "ask for access": lambda: raw("faccessat", AT_FDCWD, victim, 0),
        "unlink": lambda: raw("unlinkat", AT_FDCWD, victim, 0),
        "rename": lambda: raw("renameat2", AT_FDCWD, victim, AT_FDCWD, other, 0),
        "link": lambda: raw("linkat", AT_FDCWD, victim, AT_FDCWD, other, 0),
        "symlink": lambda: raw("symlinkat", victim, AT_FDCWD, other),
        "make a folder": lambda: raw("mkdirat", AT_FDCWD, other, 0o700),
        "make a device": lambda: raw("mknodat", AT_FDCWD, other, 0o20600, 0x103),
        "truncate": lambda: raw("truncate", victim, 0),
        "chmod": lambda: raw("fchmodat", AT_FDCWD, victim, 0o777),
        "chown": lambda: raw("fchownat", AT_FDCWD, victim, 1, 1, 0),
    }


def _others() -> dict[str, Attempt]:
    """Other processes, and memory that is code."""
    return {
        "signal the gateway": lambda: raw("kill", PARENT, 0),
        "signal everybody": lambda: raw("kill", -1, signal.SIGCONT),
        "signal a thread of the gateway": lambda: raw("tgkill", PARENT, PARENT, 0),
        "queue a signal": lambda: raw("rt_sigqueueinfo", PARENT, signal.SIGCONT, MEMORY),
        "signal by descriptor": lambda: raw("pidfd_send_signal", raw("pidfd_open", PARENT, 0), 0, 0, 0),
        "signal by a socket's owner": lambda: raw("fcntl", 0, 8, PARENT),
        "change the gateway's limits": lambda: raw("prlimit64", PARENT, resource.RLIMIT_AS, MEMORY, 0),
        "open more descriptors": lambda: raw("prlimit64", 0, resource.RLIMIT_NOFILE, MEMORY, 0),
        "run elsewhere": lambda: raw("sched_setaffinity", PARENT, 8, MEMORY),
        "write and execute": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC),
        "make memory executable": lambda: raw("mprotect", MEMORY & ~4095, 4096, 1 | 4),
        "hold huge pages": lambda: os.memfd_create("x", os.MFD_CLOEXEC | os.MFD_HUGETLB),
        "poison memory": lambda: raw("madvise", MEMORY & ~4095, 4096, 100),
        "outlive the gateway": lambda: raw("prctl", 1, 0),
        "become traceable": lambda: raw("prctl", 4, 1),
        "type into a terminal": lambda: raw("ioctl", 0, 0x5412, MEMORY),
        "start by clone3": lambda: raw("clone3", MEMORY, 88),
        "start a program": lambda: subprocess.run(["/bin/true"], check=False),
    }


#: Refused whatever their arguments are.
PLAINLY_REFUSED = (
    *("io_uring_setup", "userfaultfd", "perf_event_open", "keyctl", "add_key", "personality", "seccomp", "shmget"),
    *("landlock_create_ruleset", "msgget", "mq_open", "inotify_init1", "fanotify_init", "setpriority", "setuid"),
    *("capset", "swapon", "sethostname", "clock_settime", "acct", "quotactl", "memfd_secret", "process_madvise"),
    *("kcmp", "chdir", "getcwd", "statfs", "name_to_handle_at", "fsopen", "open_tree", "splice", "tee", "vmsplice"),
    *("pkey_mprotect", "remap_file_pages", "ioperm", "modify_ldt", "timer_create", "sendto", "accept4", "setxattr"),
    *("utimensat", "fallocate", "copy_file_range", "syslog", "arch_prctl", "setrlimit", "setsid", "getdents64"),
    "pidfd_open",
)
#: Ended at once, whatever their arguments are.
PLAINLY_DEADLY = (
    *("socket", "socketpair", "connect", "bind", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd"),
    *("execve", "execveat", "fork", "vfork", "mount", "umount2", "pivot_root", "chroot", "move_mount", "unshare"),
    *("setns", "open_by_handle_at", "bpf", "init_module", "finit_module", "delete_module", "kexec_load"),
    "kexec_file_load",
)


def _deadly() -> dict[str, Attempt]:
    def execute_memory() -> None:
        program = os.memfd_create("x", 3)
        os.write(program, b"#!/bin/true")
        os.execve(program, ["x"], {})

    return {
        "execute a file": lambda: os.execv("/bin/true", ["true"]),
        "execute memory": execute_memory,
        "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "start a process": os.fork,
        "start by clone": lambda: raw("clone", signal.SIGCHLD, 0, 0, 0, 0),
        "start in a new namespace": lambda: raw("clone", 0x3D0F00 | 0x10000000, 0, 0, 0, 0),
        "speak TCP": lambda: socket.socket(socket.AF_INET),
        "speak to a unix socket": lambda: socket.socket(socket.AF_UNIX),
        "speak to the kernel": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        **({"call in the other way of x86": lambda: library.syscall(0x40000000 + 39)} if _COLUMN == 0 else {}),
    }


def allowed() -> dict[str, Attempt]:
    """What must go on working."""

    def think_in_a_thread() -> None:
        thread = threading.Thread(target=sum, args=([1, 2],))
        thread.start()
        thread.join()

    return {
        "a thread": think_in_a_thread,
        "memory of its own": lambda: os.memfd_create("x", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING),
        "a great deal of memory": lambda: mmap.mmap(-1, 1 << 24),
        "chance": lambda: os.urandom(8),
        "its own limit of memory": lambda: resource.setrlimit(
            resource.RLIMIT_AS, resource.getrlimit(resource.RLIMIT_AS)
        ),
    }


def refused() -> dict[str, Attempt]:
    """What fails with an errno."""
    plain = {name: partial(raw, name, 0, MEMORY, MEMORY, 0, 0, 0) for name in PLAINLY_REFUSED if name in NUMBERS}
    return _files() | _others() | plain


def deadly() -> dict[str, Attempt]:
    """What ends the child by SIGSYS."""
    return _deadly() | {name: partial(raw, name, *[0] * 6) for name in PLAINLY_DEADLY if name in NUMBERS}


def crashes() -> dict[str, Attempt]:
    return {"abort": os.abort, "SIGSEGV": lambda: signal.raise_signal(signal.SIGSEGV)}


def made(attempt: Attempt) -> object:
    """In the place of `open_picture`: what came of it goes back as the words of a refusal."""
    try:
        attempt()
    except OSError as error:
        raise BadImage(errno.errorcode[error.errno or 0]) from None
    raise BadImage("succeeded")


def results_of(attempts: dict[str, Attempt]) -> dict[str, tuple[int, str]]:
    """Of one child that makes one after the other: (its exit code, or signal below zero; what it said)."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    memory = Slab.descriptor()
    child = os.fork()
    if child == 0:
        ours.close()
        made_in_turn = map(made, attempts.values())
        picture_child.open_picture = lambda *_, **__: next(made_in_turn)
        os._exit(picture_child.main([str(theirs.detach()), str(memory), str(PARENT), str(1 << 30)]))
    theirs.close()
    os.close(memory)
    with ours:
        assert b"Ready" in ours.recv(PACKET_BYTES_MAX)
        said = [_asked(ours) for _ in attempts]
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {name: (code, words) for name, words in zip(attempts, said, strict=True)}


def under(layer: Callable[[], object], attempts: dict[str, Attempt]) -> dict[str, tuple[int, str]]:
    """The same of a process that has this one layer around it and nothing else."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        kernel.control(38, 1)  # PR_SET_NO_NEW_PRIVS
        layer()
        os.write(writing, json.dumps({name: (0, words_of(attempt)) for name, attempt in attempts.items()}).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as said:
        return json.loads(said.read())


def words_of(attempt: Attempt) -> str:
    try:
        made(attempt)
    except BadImage as error:
        return str(error)
    return ""


def landlocked() -> dict[str, Attempt]:
    """What Landlock holds by itself, at its newest."""
    names = ("read a file", "write a file", "list a folder", "unlink", "rename", "make a folder", "truncate")
    more = ("signal the gateway", "read the gateway's environment")
    return {name: (_files() | _others())[name] for name in (*names, *more)} | {
        "bind": lambda: socket.socket().bind(("127.0.0.1", 0)),
        "connect": lambda: socket.socket().connect(("127.0.0.1", 9)),
    }


def _asked(link: socket.socket) -> str:
    link.send(msgspec.msgpack.encode(Open(1, Header("bmp", 8, 8, 8, 3), 0, (), to_mask=False)))
    packet = link.recv(PACKET_BYTES_MAX)
    return msgspec.msgpack.decode(packet, type=FromChild).words if packet else ""


if __name__ == "__main__":
    cv2.setNumThreads(1)
    rehearse(load_decoding())  # here once for all: a child that finds everything loaded is quick to rehearse again
    results = results_of(refused()) | results_of(allowed())
    for name, attempt in (deadly() | crashes()).items():
        results |= results_of({name: attempt})
    alone = {"seccomp": under(seccomp.restrict, _files() | _others())}
    with contextlib.suppress(OSError):
        alone["Landlock"] = under(partial(landlock.restrict, landlock.version()), landlocked())
    print(json.dumps({"children": results, **alone}))
