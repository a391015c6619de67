"""A disk that fails when it is told to, below a real ext4: a loop device whose backing file is served by a process of
ours through /dev/fuse. Needs root, loop devices and FUSE; mounts are made in the caller's namespace."""

import ctypes
import errno
import fcntl
import json
import os
import re
import struct
import subprocess
import sys
import threading
import time

_BLOCK = 4096


def missing():
    """What this machine lacks for it; "" if nothing."""
    if os.geteuid() != 0:
        return "root"
    for path in ("/dev/fuse", "/dev/loop-control"):
        if not os.path.exists(path):
            return path
    if subprocess.run(["losetup", "--find"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode:
        return "free loop device"
    return ""


class FaultyDisk:
    """`directory`: where the filesystem is to be. Nothing of it is on the real disk. Without a journal, the filesystem
    goes on when a write failed; with one it turns read-only."""

    def __init__(self, directory, megabytes=96, journal=True):
        self.directory = directory
        self.image = directory + ".image"
        os.mkdir(directory)
        with open(self.image, "wb"):
            pass
        self.server = subprocess.Popen([sys.executable, os.path.abspath(__file__), self.image, str(megabytes)],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._expect_ok()
        self.held = -1
        try:
            self.device = _run("losetup", "--find", "--show", self.image)
            self.held = os.open(self.device, os.O_RDONLY | os.O_CLOEXEC)
            _run("losetup", "--detach", self.device)  # once nobody uses it any more, however we end
            _run("mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-O", "has_journal" if journal else "^has_journal", "-E",
                 "nodiscard,lazy_itable_init=0,lazy_journal_init=0", self.device)
            self.mount()
        except BaseException:
            self.close()
            raise

    def mount(self):
        _run("mount", "-t", "ext4", "-o", "noatime", self.device, self.directory)

    def unmount(self):
        _run("umount", self.directory)

    def turn_read_only(self):
        """As the kernel does on an error of its own; there is no way back but to mount it anew."""
        _run("mount", "-o", "remount,abort", self.directory)

    def close(self):
        self.heal()
        subprocess.run(["umount", "-l", self.directory], check=False, stderr=subprocess.DEVNULL)
        if self.held >= 0:
            os.close(self.held)
        subprocess.run(["umount", "-l", self.image], check=False)
        self.server.stdin.close()
        self.server.wait(10)
        self.server.stdout.close()

    # --- faults ---
    def fail_reads_of(self, path):
        """The blocks of that file answer EIO; what the kernel has cached of it is dropped."""
        self._tell(read=extents(path))
        drop_cache(path)

    def fail_writes(self):
        """Every write that reaches the disk answers EIO."""
        self._tell(write=True)

    def fail_writes_of_new_data(self):
        """Writes to what is free now answer EIO: of new files' data, that is, but not of the filesystem's structures,
        which lie elsewhere. New directories do not: make them before."""
        os.sync()
        free = free_blocks(self.device)
        self._tell(write_of=free)

    def slow_down(self, seconds):
        """Every read and write takes so much longer, one after the other."""
        self._tell(delay=seconds)

    def heal(self):
        self._tell()

    def _tell(self, **faults):
        self.server.stdin.write(json.dumps(faults) + "\n")
        self.server.stdin.flush()
        self._expect_ok()

    def _expect_ok(self):
        if self.server.stdout.readline() != "ok\n":
            raise OSError("the server of the faulty disk is gone")


def drop_cache(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def extents(path):
    """[[from, to]] in bytes of the device."""
    most = 256
    request = struct.pack("QQIIII", 0, 0xFFFFFFFFFFFFFFFF, 1, 0, most, 0)  # FIEMAP_FLAG_SYNC
    with open(path, "rb") as f:
        answer = bytearray(request + bytes(56 * most))
        fcntl.ioctl(f.fileno(), 0xC020660B, answer)  # FS_IOC_FIEMAP
    count = struct.unpack_from("I", answer, 20)[0]
    found = [struct.unpack_from("QQQ", answer, 32 + 56 * i) for i in range(count)]
    return [[physical, physical + length] for _, physical, length in found]


def free_blocks(device):
    """What an ext4 has free, all of it: [[from, to]] in bytes of the device."""
    listed = re.findall(r"^  Free blocks: (.*)$", _run("dumpe2fs", device, stderr=subprocess.DEVNULL), re.MULTILINE)
    ranges = [each.split("-") for line in listed for each in line.split(", ") if each]
    return [[int(each[0]) * _BLOCK, (int(each[-1]) + 1) * _BLOCK] for each in ranges]


def _run(*argv, stderr=None):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, stderr=stderr, text=True).stdout.strip()


class _Server:
    """The kernel's side of FUSE (linux/fuse.h) for one regular file, which is the root."""

    GETATTR, SETATTR, OPEN, READ, WRITE, RELEASE, FSYNC, FLUSH, INIT = 3, 4, 14, 15, 16, 18, 20, 25, 26
    FORGET, INTERRUPT, BATCH_FORGET = 2, 36, 42  # take no answer
    MAX_WRITE = 128 * 1024

    def __init__(self, path, size):
        self.content = bytearray(size)
        self.faults = {}
        self.device = os.open("/dev/fuse", os.O_RDWR)
        libc = ctypes.CDLL(None, use_errno=True)
        options = "fd=%d,rootmode=100000,user_id=0,group_id=0" % self.device
        if libc.mount(b"faulty", path.encode(), b"fuse", 0, options.encode()) != 0:
            raise OSError(ctypes.get_errno(), "mount fuse on " + path)

    def run(self):
        while True:
            try:
                request = os.read(self.device, self.MAX_WRITE + 65536)
            except OSError as error:
                if error.errno in (errno.EINTR, errno.ENOENT):
                    continue
                return  # ENODEV: unmounted
            opcode, unique = struct.unpack_from("=IQ", request, 4)
            if opcode in (self.FORGET, self.INTERRUPT, self.BATCH_FORGET):
                continue
            try:
                body, code = self.answer(opcode, request[40:]), 0
            except OSError as error:
                body, code = b"", -error.errno
            os.write(self.device, struct.pack("IiQ", 16 + len(body), code, unique) + body)

    def answer(self, opcode, request):
        if opcode == self.INIT:
            return struct.pack("IIIIHHIIHHI28x", 7, 31, 0, 0, 16, 12, self.MAX_WRITE, 1, 0, 0, 0)
        if opcode in (self.GETATTR, self.SETATTR):
            size = len(self.content)
            return struct.pack("QIIQQQQQQIIIIIIIIII", 3600, 0, 0, 1, size, size // 512, 0, 0, 0, 0, 0, 0, 0o100600, 1, 0, 0, 0,
                               _BLOCK, 0)
        if opcode == self.OPEN:
            return struct.pack("QII", 1, 1, 0)  # FOPEN_DIRECT_IO: nothing is cached between the loop device and us
        if opcode == self.READ:
            offset, size = struct.unpack_from("QI", request, 8)
            self.wait()
            self.fail_within(self.faults.get("read", ()), offset, offset + size)
            return bytes(self.content[offset:offset + size])
        if opcode == self.WRITE:
            offset, size = struct.unpack_from("QI", request, 8)
            self.wait()
            if self.faults.get("write"):
                raise OSError(errno.EIO, "write")
            self.fail_within(self.faults.get("write_of", ()), offset, offset + size)
            self.content[offset:offset + size] = request[40:40 + size]
            return struct.pack("II", size, 0)
        if opcode in (self.RELEASE, self.FSYNC, self.FLUSH):
            return b""
        raise OSError(errno.ENOSYS, "not needed")

    def wait(self):
        time.sleep(self.faults.get("delay", 0))

    @staticmethod
    def fail_within(ranges, begin, end):
        if any(begin < to and start < end for start, to in ranges):
            raise OSError(errno.EIO, "within what fails")


def _serve(path, megabytes):
    server = _Server(path, megabytes << 20)
    threading.Thread(target=server.run, daemon=True).start()
    print("ok", flush=True)
    for line in sys.stdin:  # until who started us goes
        server.faults = json.loads(line)
        print("ok", flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
