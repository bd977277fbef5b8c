"""The device side of the adb protocol over TCP, for a real adb client: shell v2 with exit codes, and sync.

A folder stands for the device's file system, commands run in this machine's shell with a few Android programs
beside it, and ARM binaries run under qemu. It can be told to fill its disk or to vanish.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_HEADER = struct.Struct("<6I")
_VERSION, _MAX_DATA = 0x01000001, 64 * 1024
_STDOUT, _STDERR, _EXIT = 1, 2, 3
_TMP = "/data/local/tmp"
PROPERTIES = {
    "ro.product.manufacturer": "Acme",
    "ro.product.model": "Phone 1",
    "ro.board.platform": "sdm845",
    "ro.build.version.release": "11",
    "ro.build.version.sdk": "30",
}


class Gone(Exception):
    """The other side has closed the connection."""


@dataclass
class Stream:
    """One service that the client has opened: what it sent and has not been read, and its consent to more."""

    number: int
    peer: int
    data: bytearray = field(default_factory=bytearray)
    ready: threading.Condition = field(default_factory=threading.Condition)
    consented: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(1))
    closed: bool = False

    def read(self, count: int) -> bytes:
        with self.ready:
            while len(self.data) < count:
                if self.closed:
                    raise Gone
                self.ready.wait()
            taken = bytes(self.data[:count])
            del self.data[:count]
            return taken


class AdbDevice:
    """A device to `adb connect` to. `root` is its file system.

    disk_bytes: how much may be pushed. vanish_at: a word of a command during which the device disappears.
    """

    def __init__(self, root: Path, disk_bytes: int | None = None, vanish_at: str | None = None) -> None:
        self.root, self.disk_bytes, self.vanish_at = root, disk_bytes, vanish_at
        self.commands: list[str] = []
        (root / _TMP.lstrip("/")).mkdir(parents=True)
        self._bin = root / "bin"
        self._bin.mkdir()
        cases = "".join(f'{name}) echo "{value}";;\n' for name, value in PROPERTIES.items())
        self._program("getprop", f'case "$1" in\n{cases}*) echo;;\nesac\n')
        self._program("uname", 'if [ "$1" = -m ]; then echo aarch64; else exec /bin/uname "$@"; fi\n')
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.serial = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._connections: list[Connection] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def files(self) -> list[str]:
        """What lies in the folder for programs."""
        return sorted(p.name for p in (self.root / _TMP.lstrip("/")).iterdir())

    def locate(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def start(self, script: str) -> "subprocess.Popen[bytes]":
        """Run a script as adbd would: paths are those of the device, ARM programs need qemu here."""
        here = script.replace(_TMP, str(self.locate(_TMP)))
        program = re.match(r"(\S+/pocketdet-run) ", here)
        if program and Path(program[1]).read_bytes()[18:20] == b"\xb7\x00":  # the ELF machine AArch64
            here = f"qemu-aarch64-static {here}"
        environment = {**os.environ, "PATH": f"{self._bin}:{os.environ['PATH']}", "QEMU_CPU": "cortex-a76"}
        return subprocess.Popen(
            ["sh", "-c", here],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )

    def vanish(self) -> None:
        """As if the cable were pulled."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            connection.close()

    def _program(self, name: str, body: str) -> None:
        path = self._bin / name
        path.write_text(f"#!/bin/sh\n{body}")
        path.chmod(0o755)

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            connection = Connection(self, peer)
            self._connections.append(connection)
            threading.Thread(target=connection.serve, daemon=True).start()


class Connection:
    """One client: messages are read here, each service answers from a thread of its own."""

    def __init__(self, device: AdbDevice, peer: socket.socket) -> None:
        self._device, self._socket = device, peer
        self._sending = threading.Lock()
        self._streams: dict[int, Stream] = {}
        self._children: list[subprocess.Popen[bytes]] = []

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for child in self._children:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)

    def serve(self) -> None:
        try:
            while True:
                self._answer(*self._receive())
        except (Gone, OSError):
            self.close()
        finally:
            for stream in list(self._streams.values()):
                self._end(stream)

    def _answer(self, command: bytes, first: int, second: int, data: bytes) -> None:
        if command == b"CNXN":
            banner = b"device::ro.product.name=phone;ro.product.model=Phone_1;features=shell_v2,cmd"
            self._send(b"CNXN", _VERSION, _MAX_DATA, banner)
        elif command == b"OPEN":
            stream = Stream(len(self._streams) + 1, first)
            self._streams[stream.number] = stream
            self._send(b"OKAY", stream.number, first)
            service = data.rstrip(b"\0").decode()
            threading.Thread(target=self._serve_stream, args=(service, stream), daemon=True).start()
        elif command == b"WRTE":
            stream = self._streams[second]
            with stream.ready:
                stream.data += data
                stream.ready.notify_all()
            self._send(b"OKAY", second, first)
        elif command == b"OKAY":
            self._streams[second].consented.release()
        elif command == b"CLSE":
            self._end(self._streams[second])

    def _serve_stream(self, service: str, stream: Stream) -> None:
        stream.consented.acquire()
        stream.consented.release()
        try:
            if service.startswith("shell"):
                self._shell(service.partition(":")[2], stream)
            elif service == "sync:":
                self._sync(stream)
            self._send(b"CLSE", stream.number, stream.peer)
        except (Gone, OSError):
            return

    def _shell(self, script: str, stream: Stream) -> None:
        self._device.commands.append(script)
        child = self._device.start(script)
        self._children.append(child)
        if self._device.vanish_at and f" {self._device.vanish_at} " in script:
            time.sleep(0.3)
            self._device.vanish()
            return
        out, err = child.communicate()
        for kind, data in ((_STDOUT, out), (_STDERR, err)):
            for i in range(0, len(data), _MAX_DATA // 2):
                self._packet(stream, kind, data[i : i + _MAX_DATA // 2])
        self._packet(stream, _EXIT, bytes([child.returncode & 0xFF]))

    def _packet(self, stream: Stream, kind: int, data: bytes) -> None:
        self._write(stream, struct.pack("<BI", kind, len(data)) + data)

    def _sync(self, stream: Stream) -> None:
        while True:
            request, length = struct.unpack("<4sI", stream.read(8))
            if request == b"QUIT":
                return
            path = stream.read(length).decode()
            if request == b"STAT":
                self._write(stream, b"STAT" + self._stat(path))
            elif request == b"SEND":
                self._take(path.rpartition(",")[0], stream)

    def _stat(self, path: str) -> bytes:
        try:
            found = self._device.locate(path).stat()
        except OSError:
            return bytes(12)
        return struct.pack("<3I", found.st_mode, found.st_size & 0xFFFFFFFF, int(found.st_mtime))

    def _take(self, path: str, stream: Stream) -> None:
        """Receive a file. A full disk is told at once; what still comes is dropped, as adbd does."""
        target, failed = self._device.locate(path), False
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            while True:
                word, length = struct.unpack("<4sI", stream.read(8))
                if word == b"DONE":
                    break
                data = stream.read(length)
                left = self._device.disk_bytes
                if left is not None and len(data) > left and not failed:
                    failed = True
                    message = b"write failed: No space left on device"
                    self._write(stream, b"FAIL" + struct.pack("<I", len(message)) + message)
                elif not failed:
                    file.write(data)
                    self._device.disk_bytes = None if left is None else left - len(data)
        if not failed:
            self._write(stream, b"OKAY" + bytes(4))

    def _write(self, stream: Stream, data: bytes) -> None:
        stream.consented.acquire()
        if stream.closed:
            raise Gone
        self._send(b"WRTE", stream.number, stream.peer, data)

    def _end(self, stream: Stream) -> None:
        with stream.ready:
            stream.closed = True
            stream.ready.notify_all()
        stream.consented.release()

    def _send(self, command: bytes, first: int, second: int, data: bytes = b"") -> None:
        word = int.from_bytes(command, "little")
        header = _HEADER.pack(word, first, second, len(data), sum(data) & 0xFFFFFFFF, word ^ 0xFFFFFFFF)
        with self._sending:
            self._socket.sendall(header + data)

    def _receive(self) -> tuple[bytes, int, int, bytes]:
        word, first, second, length, _, _ = _HEADER.unpack(self._exactly(_HEADER.size))
        return word.to_bytes(4, "little"), first, second, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            part = self._socket.recv(count - len(data))
            if not part:
                raise Gone
            data += part
        return bytes(data)


@contextlib.contextmanager
def connecting(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[AdbDevice], None]]:
    """Connects devices to an adb server of this test alone; they vanish with it in the end."""
    if shutil.which("adb") is None:
        pytest.skip("no adb: on Debian, apt install adb")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
    monkeypatch.setenv("HOME", str(home))
    devices: list[AdbDevice] = []

    def connect(device: AdbDevice) -> None:
        devices.append(device)
        done = subprocess.run(["adb", "connect", device.serial], capture_output=True, text=True, check=True)
        assert "connected to" in done.stdout

    yield connect
    for device in devices:
        device.vanish()
    subprocess.run(["adb", "kill-server"], capture_output=True, check=False)
