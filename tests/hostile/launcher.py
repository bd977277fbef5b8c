"""Run a program with limits and report how it ended, as JSON.

A process of its own: Linux counts a program's peak memory from that of the process that starts it.

python -I -S launcher.py PROCESSOR_SECONDS CLOCK_SECONDS PROGRAM ARGUMENTS...
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading

MOST_OUTPUT = 200_000


def main(seconds: float, clock: float, command: list[str]) -> dict[str, object]:
    """Exit code (negative: signal), outputs, processor seconds and peak memory."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        process = subprocess.Popen(command, stdout=out, stderr=error, stdin=subprocess.DEVNULL)
        whole = int(seconds) + 1
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (whole, whole + 1))
        resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
        late = threading.Timer(clock, process.kill)
        late.start()
        _, status, used = os.wait4(process.pid, 0)
        late.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for stream in (out, error):
            stream.seek(0)
            texts.append(stream.read(MOST_OUTPUT).decode(errors="replace"))
    return {
        "code": process.returncode,
        "out": texts[0],
        "error": texts[1],
        "seconds": used.ru_utime + used.ru_stime,
        "megabytes": used.ru_maxrss / 1024,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(float(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])))
