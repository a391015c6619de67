"""Child processes that end with the test: by pid, never by name, and also when the test is killed."""

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def environment(more=None):
    """Ours without SHOAL_...: those are settings to the mirror."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SHOAL_")}
    kept.update(more or {})
    return kept


def die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class ToolFailed(AssertionError):
    """A command of a client failed: what it said is the message."""

    def __init__(self, argv, code, output):
        super().__init__("%s: exit %s\n%s" % (" ".join(argv), code, output[-4000:]))
        self.code = code
        self.output = output


def run(argv, timeout=60, env=None, cwd=None, check=True):
    """Runs a command, returns its stdout; stderr goes into the failure only."""
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             env=environment(env), cwd=cwd, preexec_fn=die_with_parent, errors="replace")
    try:
        out, err = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
        raise ToolFailed(argv, "timeout after %ss" % timeout, out + err) from None
    if check and child.returncode != 0:
        raise ToolFailed(argv, child.returncode, out + err)
    return out


class Daemon:
    """A server in the background. `isolated`: with mount and pid namespaces of its own, so that nothing it mounts or
    starts outlives it."""

    def __init__(self, argv, log_path, env=None, isolated=False, cwd=None):
        self.argv = argv
        self.log_path = log_path
        self.isolated = isolated
        if isolated:
            argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"] + argv
        with open(log_path, "ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(env), cwd=cwd,
                                            preexec_fn=die_with_parent)

    def pid(self):
        """Of the server itself, not of the wrapper."""
        if not self.isolated:
            return self.process.pid
        path = "/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)
        try:
            with open(path) as f:
                children = f.read().split()
        except FileNotFoundError:
            return None
        return int(children[0]) if children else None

    def alive(self):
        return self.process.poll() is None

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def signal(self, number):
        pid = self.pid()
        if pid:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def wait(self, timeout):
        return self.process.wait(timeout)

    def stop(self, timeout=15):
        """SIGTERM, then SIGKILL. Returns the exit code (negative: signal)."""
        if self.alive():
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        return self.process.returncode

    def kill(self):
        if self.alive():
            self.signal(signal.SIGKILL)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)


def wait_until(condition, timeout=10, what="condition", step=0.02):
    """The value of `condition` once it is true; fails after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited %ss for %s" % (timeout, what))
        time.sleep(step)


def make_temp_dir(prefix="shoal-e2e-"):
    return tempfile.mkdtemp(prefix=prefix)


def remove_tree(path):
    shutil.rmtree(path, ignore_errors=True)
    if os.path.exists(path):  # what a container tool left with odd modes or attributes
        subprocess.run(["rm", "-rf", "--one-file-system", path], check=False, stderr=subprocess.DEVNULL)


def overlay_works(directory):
    """Can overlayfs be mounted over this directory? Else clients use their copying storage drivers."""
    base = tempfile.mkdtemp(dir=directory)
    try:
        for name in ("lower", "upper", "work", "merged"):
            os.mkdir(os.path.join(base, name))
        options = "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work" % (base, base, base)
        script = "mount -t overlay overlay -o %s %s/merged" % (options, base)
        return subprocess.run(["unshare", "--mount", "sh", "-c", script], stderr=subprocess.DEVNULL,
                              check=False).returncode == 0
    finally:
        remove_tree(base)
