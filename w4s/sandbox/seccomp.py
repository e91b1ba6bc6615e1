"""The list of system calls that a locked worker may make, compiled to BPF.

What is not listed fails with EPERM, which Python raises as PermissionError. Threads may start,
processes may not; there is no socket but the ones already open, no signal to anybody.
Compiling needs libseccomp (through pyseccomp) and is done by the parent; loading does not.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import tempfile

from w4s.sandbox import kernel

_SECCOMP_NUMBERS = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER = 1
_FLAG_TSYNC = 1  # cover threads that libraries have started already

_NAMES = """
read write readv writev pread64 pwrite64 lseek close close_range fstat stat lstat newfstatat statx
access faccessat faccessat2 open openat getcwd getdents64 readlink readlinkat dup dup2 dup3
pipe pipe2 poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait
eventfd2 mmap munmap mprotect mremap madvise brk futex futex_waitv rt_sigaction rt_sigprocmask
rt_sigreturn sigaltstack clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time
times getrandom getpid getppid gettid getuid geteuid getgid getegid getgroups getpgrp getresuid
getresgid sched_yield sched_getaffinity sched_getparam sched_getscheduler getcpu uname sysinfo
getrusage getrlimit exit exit_group restart_syscall set_robust_list get_robust_list rseq
set_tid_address membarrier getsockname getpeername getsockopt recvfrom shutdown setitimer getitimer
alarm umask fadvise64
"""
_ALLOWED = _NAMES.split()

_THREAD_FLAGS = 0x10000 | 0x100  # CLONE_THREAD | CLONE_VM; the kernel then refuses CLONE_NEW*
_IOCTLS = (0x5401, 0x5451, 0x5450, 0x5421, 0x541B)  # TCGETS FIOCLEX FIONCLEX FIONBIO FIONREAD
# F_DUPFD F_GETFD F_SETFD F_GETFL F_SETFL F_DUPFD_CLOEXEC: F_SETOWN and F_SETSIG would let the
# kernel send any signal to another process of the same user
_FCNTLS = (0, 1, 2, 3, 4, 1030)
_AF_UNIX = 1


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


class Filter:
    """A compiled filter, ready to be loaded after a fork. Owns the kernel's buffer."""

    def __init__(self, bpf: bytes) -> None:
        self._buffer = ctypes.create_string_buffer(bpf, len(bpf))
        self._program = _Program(len(bpf) // 8, ctypes.addressof(self._buffer))
        self._number = _SECCOMP_NUMBERS[platform.machine()]

    def load(self) -> None:
        """Bind the calling process to the filter for good; needs no_new_privs. Raises OSError."""
        result = kernel.syscall(
            self._number,
            ctypes.c_uint(_SET_MODE_FILTER),
            ctypes.c_uint(_FLAG_TSYNC),
            ctypes.byref(self._program),
        )
        if result > 0:
            raise OSError(errno.EBUSY, f"seccomp: thread {result} could not be covered")
        kernel.check(result, "seccomp")


def supported() -> str | None:
    """Return None where a filter can be compiled here, else the reason why not."""
    if platform.machine() not in _SECCOMP_NUMBERS:
        return f"no list of system calls for the processor {platform.machine()!r}"
    try:
        compile_filter()
    except (ImportError, RuntimeError, OSError) as error:
        return (
            f"the filter cannot be compiled: {error}. Install libseccomp (libseccomp2 on Debian)."
        )
    return None


def compile_filter() -> bytes:
    """Compile the list to BPF. Raises ImportError, RuntimeError or OSError without libseccomp."""
    # not at the top: it looks for libseccomp, which the child's file system may lack
    import pyseccomp  # type: ignore[import-untyped]  # it has no types

    filter_ = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))

    def allow(name: str, *conditions: object, action: int = pyseccomp.ALLOW) -> None:
        number = pyseccomp.resolve_syscall(pyseccomp.system_arch(), name)
        if number >= 0:  # negative: not a call of this processor
            filter_.add_rule(action, name, *conditions)

    def equals(index: int, value: int, mask: int = 0xFFFFFFFF) -> object:
        return pyseccomp.Arg(index, pyseccomp.MASKED_EQ, mask, value)

    for name in _ALLOWED:
        allow(name)
    allow("clone", equals(0, _THREAD_FLAGS, _THREAD_FLAGS))
    # its flags lie behind a pointer; ENOSYS makes the C library fall back to clone
    allow("clone3", action=pyseccomp.ERRNO(errno.ENOSYS))
    for request in _IOCTLS:
        allow("ioctl", equals(1, request))
    for command in _FCNTLS:
        allow("fcntl", equals(1, command))
    allow("socketpair", equals(0, _AF_UNIX))  # asyncio wakes its loop through one
    # no address, hence connected sockets only; no sendmsg, which could pass descriptors
    allow("sendto", pyseccomp.Arg(4, pyseccomp.EQ, 0))
    allow("prlimit64", pyseccomp.Arg(0, pyseccomp.EQ, 0), pyseccomp.Arg(2, pyseccomp.EQ, 0))
    with tempfile.TemporaryFile() as file:
        filter_.export_bpf(file)
        file.seek(0)
        return file.read()
