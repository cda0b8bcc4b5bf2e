"""What a test asks of the stand-in while the server runs: lines of "name value" in the file that PEGAFLOW_STAND_IN_CONTROL
names; control.h reads the same file.

    open.block 1       memory that is opened waits until the file says otherwise; `close` likewise
    open.delay_ms 50   milliseconds before it is opened; `close` likewise
    open.error TEXT    opening it raises a RuntimeError with this text
    open.times 2       how many calls this holds for since the file was changed; default all; `close` likewise
    close.keep_ms 500  memory that was closed stays mapped for so long
"""

import os
import sys
import threading
import time

_lock = threading.Lock()
_seen = None
_lines = {}
_taken = {}


def _refresh():
    """To be called with the lock."""
    global _seen, _lines, _taken
    path = os.environ.get("PEGAFLOW_STAND_IN_CONTROL")
    if path is None:
        return
    try:
        stat = os.stat(path)
        if _seen == (stat.st_ino, stat.st_mtime_ns):
            return
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return
    _seen = (stat.st_ino, stat.st_mtime_ns)
    _lines = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
    _taken = {}


def _number(call, field, default=0):
    return int(_lines.get("%s.%s" % (call, field), default))


def _is_blocked(call):
    with _lock:
        _refresh()
        return _number(call, "block") != 0


def obey(call):
    """Waits or raises as the file says for this call, and returns the seconds for which memory is to stay mapped."""
    with _lock:
        _refresh()
        times = _number(call, "times", -1)
        _taken[call] = _taken.get(call, 0) + 1
        if 0 <= times < _taken[call]:
            return 0
        delay_ms, is_blocked = _number(call, "delay_ms"), _number(call, "block") != 0
        error, keep_ms = _lines.get(call + ".error"), _number(call, "keep_ms")
    if delay_ms:
        time.sleep(delay_ms / 1000)
    if is_blocked:
        print("stand-in: %s waits" % call, file=sys.stderr, flush=True)
        while _is_blocked(call):
            time.sleep(0.001)
    if error is not None:
        raise RuntimeError(error)
    return keep_ms / 1000
