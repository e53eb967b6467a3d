"""The program that judges system calls, run by a small machine of our own: for each processor, call by call."""

from __future__ import annotations

import errno
import struct

import pytest

from gateway.pictures.sandbox import bpf, policy
from gateway.pictures.sandbox.bpf import Argument, Program
from gateway.pictures.sandbox.system_calls import MACHINES

PID = 4711
PROGRAMS = {name: policy.program(machine, PID) for name, machine in MACHINES.items()}
X86, ARM = MACHINES["x86_64"].audit_arch, MACHINES["aarch64"].audit_arch
REFUSED = bpf.refusing(errno.EPERM)


def judge(program: Program, arch: int, number: int, *arguments: int) -> int:
    """The verdict, as the kernel's interpreter comes to it (Documentation/networking/filter.rst)."""
    padded = [value & (1 << 64) - 1 for value in (*arguments, 0, 0, 0, 0, 0, 0)[:6]]
    data = struct.pack("<iIQ6Q", number, arch, 0, *padded)
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, operand = program[at]
        at += 1
        if code == bpf.RETURN:
            return operand
        if code == bpf.LOAD:
            (accumulator,) = struct.unpack_from("<I", data, operand)
        elif code == bpf.AND:
            accumulator &= operand
        else:
            assert code in {bpf.EQUAL, bpf.AT_LEAST}
            holds = accumulator == operand if code == bpf.EQUAL else accumulator >= operand
            at += if_true if holds else if_false


def verdict(machine: str, name: str, *arguments: int) -> int:
    known = MACHINES[machine]
    return judge(PROGRAMS[machine], known.audit_arch, known.numbers[name], *arguments)


both = pytest.mark.parametrize("machine", MACHINES)


@both
def test_no_jump_leaves_the_program_and_every_way_ends(machine: str) -> None:
    program = PROGRAMS[machine]
    assert len(program) < 4096  # BPF_MAXINSNS
    for at, (code, if_true, if_false, _operand) in enumerate(program):
        if code in {bpf.EQUAL, bpf.AT_LEAST}:
            assert max(if_true, if_false) <= 255
            assert at + 1 + max(if_true, if_false) < len(program)
    assert program[-1][0] == bpf.RETURN


@both
def test_calls_of_another_machine_are_deadly(machine: str) -> None:
    other = ARM if machine == "x86_64" else X86
    for arch in (other, 0x40000003, 0):  # i386 numbers write as 4
        assert judge(PROGRAMS[machine], arch, 4) == bpf.KILL


def test_the_other_way_of_calling_x86_is_deadly() -> None:
    assert judge(PROGRAMS["x86_64"], X86, 0x40000000) == bpf.KILL
    assert judge(PROGRAMS["x86_64"], X86, -1) == bpf.KILL


@both
def test_every_number_has_a_verdict_and_what_is_not_known_is_refused(machine: str) -> None:
    known = MACHINES[machine]
    judged = {number: judge(PROGRAMS[machine], known.audit_arch, number) for number in range(600)}
    assert {judged[number] for number in set(range(600)) - set(known.numbers.values())} == {REFUSED}
    assert len({judged[number] for number in known.numbers.values()}) > 3


@both
@pytest.mark.parametrize("name", ["read", "write", "recvmsg", "sendmsg", "brk", "munmap", "futex", "exit_group"])
def test_what_decoding_does_all_the_time_is_allowed(machine: str, name: str) -> None:
    assert verdict(machine, name) == bpf.ALLOW


@both
@pytest.mark.parametrize("name", ["execve", "execveat", "ptrace", "socket", "connect", "mount", "bpf", "unshare"])
def test_what_only_an_intruder_does_is_deadly(machine: str, name: str) -> None:
    assert verdict(machine, name) == bpf.KILL


@both
def test_threads_start_and_processes_do_not(machine: str) -> None:
    assert verdict(machine, "clone", 0x3D0F00) == bpf.ALLOW
    assert verdict(machine, "clone", 0x3D0F00 | 0x400000) == bpf.ALLOW
    for flags in (17, 0x4111, 0x1200011, 0x3D0F00 | 0x20000, 0x3D0F00 | 0x10000000, 0x3D0F00 & ~0x10000):
        assert verdict(machine, "clone", flags) == bpf.KILL
    assert verdict(machine, "clone3") == bpf.refusing(errno.ENOSYS)


@both
def test_memory_never_becomes_code(machine: str) -> None:
    for name in ("mmap", "mprotect"):
        for protection in range(8):
            expected = REFUSED if protection & 4 else bpf.ALLOW
            assert verdict(machine, name, 0, 4096, protection, 0x22) == expected
            assert verdict(machine, name, 0, 4096, protection | 1 << 40, 0x22) == expected


@both
def test_it_signals_itself_alone(machine: str) -> None:
    for name in ("tgkill", "tkill"):
        assert verdict(machine, name, PID, PID, 6) == bpf.ALLOW
        assert verdict(machine, name, PID + 1, PID, 6) == REFUSED
        assert verdict(machine, name, (1 << 32) - 1, PID, 6) == REFUSED


@both
def test_it_limits_its_own_memory_and_nothing_else(machine: str) -> None:
    assert verdict(machine, "prlimit64", 0, 9, 0x7F0000000000, 0) == bpf.ALLOW
    assert verdict(machine, "prlimit64", 0, 7, 0, 0x7F0000000000) == bpf.ALLOW  # asks only
    assert verdict(machine, "prlimit64", 0, 7, 1 << 32, 0) == REFUSED  # a pointer whose lower half is nothing
    assert verdict(machine, "prlimit64", 0, 7, 1, 0) == REFUSED
    assert verdict(machine, "prlimit64", 1, 9, 0x7F0000000000, 0) == REFUSED


@both
def test_other_arguments_are_refused_where_they_matter(machine: str) -> None:
    assert verdict(machine, "newfstatat", 3, 0x7F00, 0x7F00, 0x1000) == bpf.ALLOW
    assert verdict(machine, "newfstatat", 3, 0x7F00, 0x7F00, 0) == bpf.refusing(errno.EACCES)
    assert verdict(machine, "memfd_create", 0x7F00, 3) == bpf.ALLOW
    assert verdict(machine, "memfd_create", 0x7F00, 4) == REFUSED
    assert verdict(machine, "fcntl", 3, 1033, 2) == bpf.ALLOW
    assert verdict(machine, "fcntl", 3, 8, PID) == bpf.refusing(errno.EINVAL)  # F_SETOWN sends signals
    assert verdict(machine, "madvise", 0, 4096, 14) == bpf.ALLOW
    assert verdict(machine, "madvise", 0, 4096, 100) == bpf.refusing(errno.EINVAL)  # MADV_HWPOISON


def test_alternatives_are_tried_one_after_the_other() -> None:
    program = bpf.machine(X86, None) + bpf.call(5, bpf.either([[Argument(0, 1), Argument(1, 2)], [Argument(0, 3)]], 77))
    program += bpf.end(88)
    assert judge(program, X86, 5, 1, 2) == bpf.ALLOW
    assert judge(program, X86, 5, 3, 9) == bpf.ALLOW
    assert judge(program, X86, 5, 1, 3) == 77
    assert judge(program, X86, 6, 1, 2) == 88
    assert judge(program, ARM, 5, 1, 2) == bpf.KILL


def test_a_packed_program_has_eight_bytes_a_step() -> None:
    program = PROGRAMS["x86_64"]
    assert len(bpf.packed(program)) == 8 * len(program)
    assert bpf.packed(bpf.end(bpf.KILL)) == struct.pack("=HBBI", 6, 0, 0, 0x80000000)
