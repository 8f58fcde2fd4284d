"""What an operator's machine may withhold from a daemon: system calls, descriptors, memory, threads, privileges."""

import ctypes
import os
import resource
import struct

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW = 0x00050000, 0x7FFF0000
BPF_LOAD_WORD, BPF_JUMP_EQUAL, BPF_RETURN = 0x20, 0x15, 0x06
IO_URING_SETUP = 425  # The same number on every architecture since system calls were unified.

# A user that nobody else is: limits of processes count all those of a user.
UID = 61_000 + os.getpid() % 1_000

_libc = ctypes.CDLL(None, use_errno=True)


def forbid(system_call, errno):
    """Lets `system_call` fail with `errno` in this process and all that it starts, as a container's seccomp profile does."""
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in [
        (BPF_LOAD_WORD, 0, 0, 0),  # The number of the system call.
        (BPF_JUMP_EQUAL, 0, 1, system_call),
        (BPF_RETURN, 0, 0, SECCOMP_RET_ERRNO | errno),
        (BPF_RETURN, 0, 0, SECCOMP_RET_ALLOW),
    ])
    buffer = ctypes.create_string_buffer(program, len(program))
    filters = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    for arguments in [(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filters, 0, 0)]:
        if _libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def limit(which, value):
    """Sets both limits; nobody but root can raise them again."""
    resource.setrlimit(which, (value, value))


def drop_privileges():
    """Becomes a user without any. Of no effect for somebody who has none."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(UID, UID, UID)
        os.setresuid(UID, UID, UID)


def threads_of_user():
    """Threads that count against the daemon's limit before it starts."""
    uid = UID if os.getuid() == 0 else os.getuid()
    count = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}").st_uid == uid:
                count += len(os.listdir(f"/proc/{pid}/task"))
        except FileNotFoundError:
            pass
    return count
