//! The attempts to break out: what is tried, and by which limit it ends where it is not refused. System calls have the
//! numbers of x86-64.

/// What contains an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It says itself that it failed.
    Refused,
    /// A limit stops it.
    Stopped(&'static str),
    /// It ends by itself, and nothing of it is left.
    Harmless,
}

use Held::{Harmless, Refused, Stopped};

/// Name, what holds it, and Python after the prelude. `@NAME@` stands for something of the host.
pub const ATTEMPTS: &[(&str, Held, &str)] = &[
    // The network.
    ("tcp_loopback", Refused, "attempt(lambda: connect(2, 1, ('127.0.0.1', @PORT@)))"),
    ("tcp_database", Refused, "attempt(lambda: connect(2, 1, ('127.0.0.1', @DATABASE@)))"),
    ("tcp_ipv6", Refused, "attempt(lambda: connect(10, 1, ('::1', @PORT@)))"),
    ("udp", Refused, "attempt(lambda: connect(2, 2, ('127.0.0.1', @PORT@)))"),
    ("abstract_socket", Refused, "attempt(lambda: connect(1, 1, '\\0@ABSTRACT@'))"),
    ("database_socket", Refused, "attempt(lambda: connect(1, 1, '@DATABASE_SOCKET@'))"),
    ("raw_socket", Refused, "attempt(lambda: socket.socket(2, 3, 1))"),
    ("packet_socket", Refused, "attempt(lambda: socket.socket(17, 3))"),
    ("netlink_socket", Refused, "attempt(lambda: socket.socket(16, 3, 0))"),
    ("vsock", Refused, "attempt(lambda: socket.socket(40, 1))"),
    // Files of the host.
    ("host_file", Refused, "attempt(lambda: read('@CANARY@'))"),
    ("shadow", Refused, "attempt(lambda: read('/etc/shadow'))"),
    ("checkpoint_key", Refused, "attempt(lambda: read('@KEY@'))"),
    ("other_workspace", Refused, "attempt(lambda: os.listdir('@OTHER@'))"),
    ("own_workspace_by_its_path", Refused, "attempt(lambda: os.listdir('@WORKSPACE@'))"),
    ("dot_dot", Refused, "attempt(lambda: read('/workspace/../..@CANARY@'))"),
    ("through_the_first_process", Refused, "attempt(lambda: os.listdir('/proc/1/root'))"),
    ("through_its_own_root", Refused, "attempt(lambda: read('/proc/self/root/..@CANARY@'))"),
    (
        "symbolic_link",
        Refused,
        "os.symlink('@CANARY@', 'keep/link'); os.symlink('/etc', 'keep/folder'); attempt(lambda: read('keep/link'))",
    ),
    ("hard_link", Refused, "attempt(lambda: os.link('/usr/bin/python3', '/workspace/keep/linked'))"),
    ("open_by_handle", Refused, "attempt(lambda: call(304, -100, ctypes.create_string_buffer(24), 0))"),
    (
        "inherited_descriptors",
        Refused,
        "extra = [n for n in os.listdir('/proc/self/fd') if int(n) > 3]\ndef f():\n    if not extra: raise Refused('none')\n    return extra\nattempt(f)",
    ),
    // The system.
    ("write_usr", Refused, "attempt(lambda: write('/usr/bin/xagent-escape'))"),
    ("write_root", Refused, "attempt(lambda: write('/xagent-escape'))"),
    ("write_dev", Refused, "attempt(lambda: write('/dev/xagent-escape'))"),
    ("proc_sys", Refused, "attempt(lambda: write('/proc/sys/kernel/core_pattern', '|/tmp/x'))"),
    ("sysrq", Refused, "attempt(lambda: write('/proc/sysrq-trigger', 'h'))"),
    ("device_nodes", Refused, "attempt(lambda: os.mknod('/workspace/disk', 0o60666, os.makedev(254, 0)))"),
    ("memory_device", Refused, "attempt(lambda: read('/dev/mem'))"),
    ("kernel_log", Refused, "attempt(lambda: read('/dev/kmsg'))"),
    ("hostname", Refused, "attempt(lambda: socket.sethostname('escaped'))"),
    ("clock", Refused, "attempt(lambda: time.clock_settime(0, 0))"),
    ("reboot", Refused, "attempt(lambda: call(169, 0xfee1dead, 672274793, 0x89abcdef, 0))"),
    ("kernel_module", Refused, "attempt(lambda: call(175, b'x', 1, b''))"),
    ("swap", Refused, "attempt(lambda: call(167, b'/tmp/main.py', 0))"),
    // Namespaces and privileges.
    ("mount", Refused, "attempt(lambda: call(165, b'none', b'/tmp', b'tmpfs', 0, None))"),
    ("unmount", Refused, "attempt(lambda: call(166, b'/proc', 2))"),
    ("new_mount_api", Refused, "attempt(lambda: call(430, b'tmpfs', 0))"),
    ("chroot", Refused, "attempt(lambda: os.chroot('/tmp'))"),
    ("pivot_root", Refused, "attempt(lambda: call(155, b'/tmp', b'/tmp'))"),
    ("unshare_user", Refused, "attempt(lambda: call(272, 0x10000000))"),
    ("clone_user", Refused, "attempt(lambda: call(56, 0x10000000 | 17, 0, 0, 0, 0))"),
    (
        "clone3",
        Refused,
        "attempt(lambda: call(435, ctypes.create_string_buffer(struct.pack('<Q', 0x10000000) + bytes(80)), 88))",
    ),
    ("join_namespace", Refused, "attempt(lambda: call(308, os.open('/proc/self/ns/user', 0), 0))"),
    ("become_root", Refused, "attempt(lambda: os.setuid(0))"),
    (
        "setuid_program",
        Refused,
        "import subprocess\ndef f():\n    if subprocess.run(['/usr/bin/su', '-c', 'id'], stdin=-3, capture_output=True).returncode: raise Refused('su')\nattempt(f)",
    ),
    (
        "raise_limits",
        Refused,
        "import resource; attempt(lambda: resource.setrlimit(resource.RLIMIT_NPROC, (9999, 9999)))",
    ),
    ("personality", Refused, "attempt(lambda: call(135, 0x0400000))"),
    ("realtime", Refused, "attempt(lambda: call(144, 0, 1, ctypes.byref(ctypes.c_int(99))))"),
    // Other processes.
    (
        "see_processes",
        Refused,
        "found = [open(f'/proc/{p}/cmdline').read() for p in os.listdir('/proc') if p.isdigit()]\ndef f():\n    if len(found) > 3 or any('serve' in c or 'postgres' in c for c in found): return found\n    raise Refused(len(found))\nattempt(f)",
    ),
    ("ptrace", Refused, "attempt(lambda: call(101, 16, 1, 0, 0))"),
    ("read_memory", Refused, "attempt(lambda: call(310, 1, None, 0, None, 0, 0))"),
    ("environment_of_the_first_process", Refused, "attempt(lambda: read('/proc/1/environ'))"),
    (
        "environment",
        Refused,
        "def f():\n    found = [k for k in os.environ if 'XAGENT' in k or 'DATABASE' in k or 'SECRET' in k]\n    if not found: raise Refused('nothing')\n    return found\nattempt(f)",
    ),
    ("signal_host_process", Refused, "attempt(lambda: os.kill(@PROCESS@, 9))"),
    (
        "kill_the_first_process",
        Harmless,
        "for n in (9, 19):\n    try: os.kill(1, n)\n    except OSError: pass\ntime.sleep(0.2); print('contained: it lives')",
    ),
    (
        "kill_everything",
        Harmless,
        "signal.signal(15, signal.SIG_IGN)\ntry: os.kill(-1, 15)\nexcept OSError: pass\nprint('contained: alone')",
    ),
    ("forge_a_report", Harmless, "sys.stdout.buffer.write(b'\\0\\0\\0\\x02{}'); print('contained: text')"),
    // Interfaces of the kernel.
    ("keyring_add", Refused, "attempt(lambda: call(248, b'user', b'k', b'v', 1, -4))"),
    ("keyring_read", Refused, "attempt(lambda: call(250, 0, -3, 0, 0, 0))"),
    ("bpf", Refused, "attempt(lambda: call(321, 0, ctypes.create_string_buffer(120), 120))"),
    ("perf", Refused, "attempt(lambda: call(298, ctypes.create_string_buffer(120), 0, -1, -1, 0))"),
    ("io_uring", Refused, "attempt(lambda: call(425, 8, ctypes.create_string_buffer(120)))"),
    ("userfaultfd", Refused, "attempt(lambda: call(323, 0))"),
    ("fanotify", Refused, "attempt(lambda: call(300, 0, 0))"),
    ("x32_calls", Refused, "attempt(lambda: call(0x40000000 + 165, b'none', b'/tmp', b'tmpfs', 0, None))"),
    ("type_into_a_terminal", Refused, "import fcntl; attempt(lambda: fcntl.ioctl(0, 0x5412, b'x'))"),
    ("terminal_through_high_bits", Refused, "attempt(lambda: call(16, 0, ctypes.c_ulong(0x100005412), b'x'))"),
    // What nobody pays for.
    ("memory_bomb", Refused, "def f():\n    kept = []\n    while True: kept.append(bytearray(1 << 24))\nattempt(f)"),
    (
        "memory_of_many",
        Stopped("memory"),
        "for _ in range(8):\n    if os.fork() == 0:\n        kept = bytearray(b'x') * (100 << 20); time.sleep(20)\ntime.sleep(20)",
    ),
    ("memory_in_files_without_names", Refused, "attempt(lambda: os.memfd_create('bomb'))"),
    ("system_v_memory", Refused, "attempt(lambda: call(29, 0, 1 << 30, 0o1600))"),
    (
        "fork_bomb",
        Refused,
        "def f():\n    for _ in range(5000):\n        if os.fork() == 0: time.sleep(20); os._exit(0)\nattempt(f)",
    ),
    (
        "thread_bomb",
        Refused,
        "def f():\n    for _ in range(5000): threading.Thread(target=time.sleep, args=(20,), daemon=True).start()\nattempt(f)\nos._exit(0)",
    ),
    (
        "disk_filling",
        Refused,
        "def f():\n    for n in range(100):\n        with open(f'f{n}', 'wb') as file:\n            for _ in range(16): file.write(bytes(1 << 20))\nattempt(f)",
    ),
    (
        "disk_filling_elsewhere",
        Refused,
        "def f():\n    for n in range(100):\n        with open(f'/dev/shm/f{n}', 'wb') as file: file.write(bytes(8 << 20))\nattempt(f)",
    ),
    (
        "large_file",
        Refused,
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nattempt(lambda: os.truncate(write('large'), 1 << 40))",
    ),
    ("file_bomb", Stopped("files"), "n = 0\nwhile True:\n    n += 1\n    os.mknod(f'/tmp/n{n}')"),
    (
        "descriptor_exhaustion",
        Refused,
        "kept = []\ndef f():\n    while True: kept.append(os.open('/dev/null', 0))\nattempt(f)",
    ),
    ("output_flood", Harmless, "print('contained: cut')\nfor _ in range(2000): sys.stdout.write('x' * 10000)"),
    ("sleep_forever", Stopped("wall_time"), "time.sleep(10000)"),
    (
        "ignore_every_signal",
        Stopped("wall_time"),
        "for n in range(1, 32):\n    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\ntime.sleep(10000)",
    ),
    ("burn_the_processor", Stopped("cpu_time"), "for _ in range(3): os.fork()\nwhile True: pass"),
    (
        "daemon",
        Harmless,
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        os.close(1); os.close(2); os.execv('/usr/bin/sleep', ['sleep', '@MARK@'])\n    os._exit(0)\nos.wait(); print('contained: left behind')",
    ),
    (
        "core_dump",
        Harmless,
        "if os.fork() == 0: os.abort()\nos.wait()\nprint('contained:' if not any('core' in n for n in os.listdir('.')) else 'ESCAPED')",
    ),
];
