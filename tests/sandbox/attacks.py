"""Programs that try to break out, and how each must end. Imports nothing but the seam."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field

from w4s.types import FailureKind as Kind


@dataclass(frozen=True)
class Attack:
    """`body` is the body of `workflow(agent, task)`; reaching its end means that it got through.

    `task` is JSON with the paths and processes that the test lays out as targets.
    """

    name: str
    body: str
    kinds: frozenset[Kind]
    limits: dict[str, float] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """The whole program."""
        head = (
            "import ctypes, json, os, socket, struct, sys, threading, time\n"
            "libc = ctypes.CDLL(None, use_errno=True)\n"
            "def syscall(number, *words):\n"
            "    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(w) for w in words])\n"
            "    if result < 0:\n"
            "        raise OSError(ctypes.get_errno(), 'refused')\n"
            "    return result\n"
            "def send(body):\n"
            "    for fd in range(3, 12):\n"
            "        try:\n"
            "            os.write(fd, struct.pack('<I', len(body)) + body)\n"
            "        except OSError:\n"
            "            pass\n"
            "def workflow(agent, task):\n"
            "    target = json.loads(task)\n"
        )
        return (
            head
            + textwrap.indent(textwrap.dedent(self.body).strip(), "    ")
            + ("\n    return {'answer': 'got through'}\n")
        )


def _refused(name: str, body: str) -> Attack:
    return Attack(name, body, frozenset({Kind.FORBIDDEN}))


_FILES = [
    _refused("read the users", "open('/etc/passwd').read()"),
    _refused("read a shadow file", "open('/etc/shadow').read()"),
    _refused("read the project", "open(target['project']).read()"),
    _refused("read the answers", "open(target['answers']).read()"),
    _refused("read through a link", "os.open('/proc/self/root' + target['answers'], os.O_RDONLY)"),
    _refused(
        "read with ctypes",
        """
        fd = libc.open(target['answers'].encode(), 0)
        if fd < 0:
            raise OSError(ctypes.get_errno(), 'refused', target['answers'])
    """,
    ),
    _refused("read with openat2", "syscall(437, -100, 0, 0, 0)"),
    _refused("list the home folder", "os.listdir(target['home'])"),
    _refused("list the root", "open('/etc/hostname').read()"),
    _refused(
        "import from the project",
        """
        sys.path.insert(0, target['folder'])
        sys.path_importer_cache.clear()
        open(target['folder'] + '/answers.json').read()
    """,
    ),
    _refused("the parent's environment", "open(f\"/proc/{target['parent']}/environ\").read()"),
    _refused("the zygote's environment", "open(f'/proc/{os.getppid()}/environ').read()"),
    _refused("the parent's memory", "open(f\"/proc/{target['parent']}/mem\", 'rb').read(1)"),
    _refused("the parent's command line", "open(f\"/proc/{target['parent']}/cmdline\").read()"),
    _refused("the parent's descriptors", "os.listdir(f\"/proc/{target['parent']}/fd\")"),
    _refused("own maps", "open('/proc/self/maps').read()"),
    _refused("write a file", "open(target['folder'] + '/written', 'w').write('x')"),
    _refused("write to /tmp", "open('/tmp/w4s-attack', 'w').write('x')"),
    _refused("write to shared memory", "open('/dev/shm/w4s-attack', 'w').write('x')"),
    _refused("append to the answers", "open(target['answers'], 'a').write('x')"),
    _refused("truncate the answers", "os.truncate(target['answers'], 0)"),
    _refused("delete the answers", "os.remove(target['answers'])"),
    _refused("rename the answers", "os.rename(target['answers'], target['answers'] + '2')"),
    _refused("make a folder", "os.mkdir(target['folder'] + '/new')"),
    _refused("make a link", "os.symlink('/etc/passwd', target['folder'] + '/link')"),
    _refused("change a mode", "os.chmod(target['answers'], 0o777)"),
    _refused("change a time", "os.utime(target['answers'])"),
    _refused("change the working folder", "os.chdir(target['folder'])"),
    _refused("patch the interpreter's library", "open(json.__file__, 'a').write('x')"),
    _refused(
        "a temporary file",
        """
        import tempfile
        tempfile.tempdir = '/tmp'
        tempfile.NamedTemporaryFile().write(b'x')
    """,
    ),
    _refused(
        "shared memory",
        """
        from multiprocessing import shared_memory
        shared_memory.SharedMemory(name='w4s_attack', create=True, size=1 << 20)
    """,
    ),
    _refused("anonymous file", "os.memfd_create('x')"),
    _refused("System V shared memory", "syscall(29, 0, 1 << 30, 0o1600)"),
    _refused("a message queue", "syscall(240, 0, 0o102, 0o600, 0)"),
]

_NETWORK = [
    _refused("connect", "socket.create_connection(('127.0.0.1', target['port']), 1)"),
    _refused(
        "connect over IPv6", "socket.socket(socket.AF_INET6).connect(('::1', target['port']))"
    ),
    _refused("datagram", "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 53))"),
    _refused("raw packets", "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"),
    _refused("kernel messages", "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)"),
    _refused("unix socket", "socket.socket(socket.AF_UNIX).connect(target['unix'])"),
    _refused(
        "abstract unix socket", "socket.socket(socket.AF_UNIX).connect('\\0' + target['unix'])"
    ),
    _refused(
        "pair turned outward",
        """
        left, right = socket.socketpair(type=socket.SOCK_DGRAM)
        left.sendto(b'x', target['unix'])
    """,
    ),
    _refused("listen", "socket.socket().bind(('127.0.0.1', 0))"),
    _refused(
        "pass a descriptor",
        """
        left, right = socket.socketpair()
        socket.send_fds(left, [b'x'], [right.fileno()])
    """,
    ),
    _refused(
        "fetch a page",
        """
        import urllib.request
        urllib.request.urlopen(f"http://127.0.0.1:{target['port']}/")
    """,
    ),
]
# name look-up and urllib wrap the refusal in errors of their own
_NETWORK[-1] = Attack("fetch a page", _NETWORK[-1].body, frozenset({Kind.FORBIDDEN, Kind.RUNTIME}))

_PROCESSES = [
    _refused("fork", "os.fork()"),
    _refused("fork bomb", "while True: os.fork()"),
    _refused("fork by number", "syscall(57)"),
    _refused("vfork by number", "syscall(58)"),
    _refused("clone without a thread", "syscall(56, 17, 0, 0, 0, 0)"),
    Attack("clone3", "syscall(435, 0, 88)", frozenset({Kind.RUNTIME})),
    _refused("subprocess", "import subprocess; subprocess.run(['/bin/true'])"),
    Attack(
        "shell",
        """
        if os.system('true') == 0:
            return {'answer': 'got through'}
        raise PermissionError(1, 'refused')
    """,
        frozenset({Kind.FORBIDDEN}),
    ),
    _refused("spawn", "os.posix_spawn('/bin/true', ['true'], {})"),
    _refused("exec", "os.execv('/bin/true', ['true'])"),
    _refused(
        "multiprocessing",
        """
        import multiprocessing
        multiprocessing.get_context('fork').Process(target=print).start()
    """,
    ),
    Attack("pseudo-terminal", "import pty; pty.fork()", frozenset({Kind.FORBIDDEN, Kind.RUNTIME})),
    _refused("kill the parent", "os.kill(target['parent'], 9)"),
    _refused("kill the zygote", "os.kill(os.getppid(), 9)"),
    _refused("kill everything", "os.kill(-1, 9)"),
    _refused("kill the group", "os.killpg(0, 9)"),
    _refused(
        "signal through a descriptor",
        """
        import fcntl, signal
        left, right = socket.socketpair()
        fcntl.fcntl(left, fcntl.F_SETOWN, target['parent'])
        fcntl.fcntl(left, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
        right.send(b'x')
    """,
    ),
    _refused("choose the signal", "import fcntl; fcntl.fcntl(0, 10, 9)"),
    _refused("process descriptor", "syscall(434, target['parent'], 0)"),
    _refused("take a descriptor", "syscall(438, 3, 0, 0)"),
    _refused("ptrace", "syscall(101, 16, target['parent'], 0, 0)"),
    _refused("read memory", "syscall(310, target['parent'], 0, 0, 0, 0, 0)"),
    _refused("write memory", "syscall(311, target['parent'], 0, 0, 0, 0, 0)"),
    _refused("new namespaces", "syscall(272, 0x10000000)"),
    _refused("mount", "syscall(165, 0, 0, 0, 0, 0)"),
    _refused("io_uring", "syscall(425, 1, 0)"),
    _refused("bpf", "syscall(321, 0, 0, 0)"),
    _refused("keyring", "syscall(250, 0, 0)"),
    _refused("user faults", "syscall(323, 0)"),
    _refused("performance events", "syscall(298, 0, 0, 0, 0, 0)"),
    _refused("outlive the parent", "syscall(157, 1, 0, 0, 0, 0)"),
    _refused("new session", "os.setsid()"),
    _refused("become root", "os.setresuid(0, 0, 0)"),
    _refused("become another", "os.setresuid(1000, 1000, 1000)"),
    _refused(
        "raise the limits",
        """
        import resource
        try:
            resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
        except ValueError as error:
            raise PermissionError(1, str(error))
    """,
    ),
    _refused(
        "lower another's limits",
        """
        import resource
        resource.prlimit(target['parent'], resource.RLIMIT_NOFILE, (0, 0))
    """,
    ),
    _refused("priority", "os.setpriority(os.PRIO_PROCESS, target['parent'], 19)"),
    _refused("host name", "syscall(170, 0, 0)"),
    _refused("set the clock", "time.clock_settime(time.CLOCK_REALTIME, 0)"),
    _refused("reboot", "syscall(169, 0, 0, 0, 0)"),
    _refused("32-bit numbers", "syscall(0x40000000 + 57)"),
]

_MEMORY = [
    Attack("one huge allocation", "bytearray(1 << 40)", frozenset({Kind.MEMORY})),
    Attack(
        "growing list", "x = []\nwhile True: x.append('y' * 1_000_000)", frozenset({Kind.MEMORY})
    ),
    Attack("doubling text", "x = 'y'\nwhile True: x += x", frozenset({Kind.MEMORY})),
    Attack("numpy", "import numpy\nx = numpy.ones(1 << 36)", frozenset({Kind.MEMORY})),
    Attack(
        "numpy, many",
        """
        import numpy
        x = []
        while True: x.append(numpy.ones(1 << 20))
    """,
        frozenset({Kind.MEMORY}),
    ),
    Attack("mapping", "import mmap\nmmap.mmap(-1, 1 << 40)", frozenset({Kind.MEMORY})),
    Attack(
        "mappings, many",
        """
        import mmap
        x = []
        while True: x.append(mmap.mmap(-1, 1 << 24))
    """,
        frozenset({Kind.MEMORY}),
    ),
    Attack(
        "caught and repeated",
        """
        x = []
        while True:
            try:
                while True: x.append(bytearray(1 << 20))
            except MemoryError:
                pass
    """,
        frozenset({Kind.MEMORY, Kind.CPU_TIME, Kind.WALL_TIME}),
    ),
    Attack(
        "threads",
        """
        threading.stack_size(32768)
        x = []
        while True:
            x.append(threading.Thread(target=time.sleep, args=(1000,), daemon=True))
            x[-1].start()
    """,
        frozenset({Kind.MEMORY, Kind.CRASHED}),
    ),
    Attack("descriptors", "x = []\nwhile True: x.append(os.pipe())", frozenset({Kind.RUNTIME})),
    Attack(
        "pipe buffers",
        """
        import fcntl
        left, right = os.pipe()
        fcntl.fcntl(right, 1031, 1 << 20)
    """,
        frozenset({Kind.FORBIDDEN}),
    ),
]

_ENDLESS = {"cpu_seconds": 1.0, "wall_seconds": 20.0}
_TIME = [
    Attack("endless loop", "while True: pass", frozenset({Kind.CPU_TIME}), _ENDLESS),
    Attack("endless power", "10**10**8", frozenset({Kind.CPU_TIME, Kind.MEMORY}), _ENDLESS),
    Attack(
        "catastrophic expression",
        """
        import re
        re.match('(a+)+$', 'a' * 40 + 'b')
    """,
        frozenset({Kind.CPU_TIME}),
        _ENDLESS,
    ),
    Attack(
        "signals caught",
        """
        import signal
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        while True: pass
    """,
        frozenset({Kind.CPU_TIME}),
        _ENDLESS,
    ),
    Attack(
        "everything caught",
        """
        while True:
            try:
                while True: pass
            except BaseException:
                pass
    """,
        frozenset({Kind.CPU_TIME}),
        _ENDLESS,
    ),
    Attack(
        "threads that burn",
        """
        def burn():
            while True: pass
        for _ in range(8): threading.Thread(target=burn).start()
        while True: pass
    """,
        frozenset({Kind.CPU_TIME}),
        _ENDLESS,
    ),
    Attack("asleep", "time.sleep(1000)", frozenset({Kind.WALL_TIME}), {"wall_seconds": 0.5}),
    Attack(
        "deadlock",
        "x = threading.Lock()\nx.acquire()\nx.acquire()",
        frozenset({Kind.WALL_TIME}),
        {"wall_seconds": 0.5},
    ),
    Attack(
        "asleep in a call",
        "agent.call_llm([{'role': 'user', 'content': 'slow'}])",
        frozenset({Kind.EXECUTOR}),
        {"waiting_seconds": 0.5},
    ),
    Attack(
        "slow object",
        """
        class Slow(dict):
            def items(self):
                while True: pass
        return Slow(answer=1)
    """,
        frozenset({Kind.CPU_TIME}),
        _ENDLESS,
    ),
]

_OUTPUT = [
    Attack("flood by print", "while True: print('x' * 1000)", frozenset({Kind.OUTPUT})),
    Attack("flood of errors", "while True: sys.stderr.write('x' * 1000)", frozenset({Kind.OUTPUT})),
    Attack("flood, one write", "print('x' * 100_000_000)", frozenset({Kind.OUTPUT})),
    _refused(
        "what the zygote's errors are written to",
        """
        for fd in (0, 1, 2):
            if not os.path.samestat(os.fstat(fd), os.stat("/dev/null")):
                return {'answer': 'a file of the program'}
        raise PermissionError(1, 'nothing there')
        """,
    ),
    Attack(
        "flood of the descriptor",
        "while True: os.write(1, b'x' * 65536)",
        frozenset({Kind.OUTPUT, Kind.CPU_TIME}),
        _ENDLESS,
    ),
    Attack(
        "flood of the pipe",
        """
        while True:
            for fd in range(3, 12):
                try:
                    os.write(fd, b'\\xff' * 65536)
                except OSError:
                    pass
    """,
        frozenset({Kind.PROTOCOL, Kind.CRASHED}),
        _ENDLESS,
    ),
    Attack("huge result", "return {'answer': 'x' * 10_000_000}", frozenset({Kind.OUTPUT})),
    Attack("result of many items", "return {'answer': [0] * 300_000}", frozenset({Kind.PROTOCOL})),
    Attack(
        "huge call",
        "agent.call_llm([{'role': 'user', 'content': 'x' * 10_000_000}])",
        frozenset({Kind.RUNTIME}),
    ),
    Attack(
        "calls without end",
        """
        while True:
            try:
                agent.call_llm([{'role': 'user', 'content': 'x'}])
            except Exception:
                pass
    """,
        frozenset({Kind.CALLS}),
    ),
    Attack(
        "calls from threads",
        """
        def call():
            while True: agent.call_llm([{'role': 'user', 'content': 'x'}])
        for _ in range(50): threading.Thread(target=call).start()
        time.sleep(100)
    """,
        frozenset({Kind.CALLS}),
    ),
]

_PROTOCOL = [
    Attack("not JSON", "send(b'{nonsense')\ntime.sleep(5)", frozenset({Kind.PROTOCOL})),
    Attack(
        "NaN on the wire",
        'send(b\'{"op":"done","value":{"answer":NaN}}\')\ntime.sleep(5)',
        frozenset({Kind.PROTOCOL}),
    ),
    Attack(
        "infinity on the wire",
        'send(b\'{"op":"done","value":{"answer":1e999}}\')\ntime.sleep(5)',
        frozenset({Kind.PROTOCOL}),
    ),
    Attack(
        "half a surrogate",
        'send(b\'{"op":"done","value":{"answer":"\\\\ud800"}}\')\ntime.sleep(5)',
        frozenset({Kind.PROTOCOL}),
    ),
    Attack("deep JSON", "send(b'[' * 90_000)\ntime.sleep(5)", frozenset({Kind.PROTOCOL})),
    Attack(
        "wide JSON",
        "send(b'[' + b'[],' * 300_000 + b'[]]')\ntime.sleep(5)",
        frozenset({Kind.PROTOCOL}),
    ),
    Attack(
        "huge integer",
        'send(b\'{"op":"done","value":{"answer":\' + b\'9\' * 900_000 + b\'}}\')\ntime.sleep(5)',
        frozenset({Kind.PROTOCOL}),
    ),
    Attack("a list as message", "send(b'[1]')\ntime.sleep(5)", frozenset({Kind.PROTOCOL})),
    Attack(
        "an unknown kind",
        'send(b\'{"op":"score","value":1}\')\ntime.sleep(5)',
        frozenset({Kind.PROTOCOL}),
    ),
    Attack(
        "a broken layer pretended",
        'send(b\'{"op":"unlocked","text":"x"}\')\ntime.sleep(5)',
        frozenset({Kind.PROTOCOL}),
    ),
    Attack(
        "a failure of the executor pretended",
        'send(b\'{"op":"failed","kind":"executor","text":"x"}\')\ntime.sleep(5)',
        frozenset({Kind.PROTOCOL}),
    ),
    Attack(
        "a result of another shape",
        'send(b\'{"op":"done","value":[{"ok":1}]}\')\ntime.sleep(5)',
        frozenset({Kind.PROTOCOL}),
    ),
    Attack(
        "an unknown operation",
        'send(b\'{"op":"call","id":1,"name":"exec","arguments":{}}\')\ntime.sleep(5)',
        frozenset({Kind.PROTOCOL}),
    ),
    Attack(
        "a call with wrong arguments",
        'send(b\'{"op":"call","id":1,"name":"execute_code","arguments":{"code":[]}}\')\ntime.sleep(5)',
        frozenset({Kind.PROTOCOL}),
    ),
    Attack("a call past the handle", "agent._call('api_key', {})", frozenset({Kind.PROTOCOL})),
    Attack(
        "notes without end",
        'for _ in range(5000): send(b\'{"op":"refused","what":"x"}\')\ntime.sleep(5)',
        frozenset({Kind.PROTOCOL}),
    ),
    Attack("NaN returned", "return {'answer': float('nan')}", frozenset({Kind.NO_ANSWER})),
    Attack("object returned", "return {'answer': object()}", frozenset({Kind.NO_ANSWER})),
    Attack("nothing returned", "return None", frozenset({Kind.NO_ANSWER})),
    Attack(
        "a cycle returned", "x = []\nx.append(x)\nreturn {'answer': x}", frozenset({Kind.NO_ANSWER})
    ),
]

_ENDINGS = [
    Attack("leave at once", "os._exit(0)", frozenset({Kind.CRASHED})),
    Attack("leave", "sys.exit(0)", frozenset({Kind.RUNTIME})),
    Attack("interrupt itself", "raise KeyboardInterrupt", frozenset({Kind.RUNTIME})),
    Attack("abort", "os.abort()", frozenset({Kind.CRASHED})),
    Attack("null pointer", "ctypes.string_at(0)", frozenset({Kind.CRASHED})),
    Attack("deep recursion", "f = lambda n: f(n + 1)\nf(0)", frozenset({Kind.RUNTIME})),
    Attack(
        "deep recursion without its limit",
        """
        sys.setrecursionlimit(10**9)
        class Deep:
            def __repr__(self): return repr(self)
        repr(Deep())
    """,
        frozenset({Kind.CRASHED, Kind.MEMORY, Kind.RUNTIME}),
    ),
    Attack(
        "close the pipe",
        """
        for fd in range(64):
            try:
                os.close(fd)
            except OSError:
                pass
        time.sleep(100)
    """,
        frozenset({Kind.PROTOCOL}),
        {"wall_seconds": 5.0},
    ),
    Attack(
        "hostile error",
        """
        class Bad(Exception):
            def __str__(self): raise SystemExit
        raise Bad
    """,
        frozenset({Kind.RUNTIME}),
    ),
]

ATTACKS = [*_FILES, *_NETWORK, *_PROCESSES, *_MEMORY, *_TIME, *_OUTPUT, *_PROTOCOL, *_ENDINGS]
