"""A machine behind the system's ssh and scp: a real sshd on this one's loopback interface."""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import PATIENCE, wait_until
from stand_in import write_stand_in

from pocketdet.benchmarks.devices import BenchRequest, run_devices
from pocketdet.benchmarks.plan import BenchPlan
from pocketdet.benchmarks.record_io import read_record
from pocketdet.benchmarks.targets import open_session, open_target, parse_targets
from pocketdet.errors import EngineError, UsageError
from pocketdet.runtime.bundle import load_bundle

SSHD = "/usr/sbin/sshd"


class NoProgress:
    def step(self, label: str, seconds: float) -> None:
        return

    def tick(self) -> None:
        return


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def make_key(path: Path) -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True, timeout=PATIENCE)
    return path


def wait_for(port: int, daemon: "subprocess.Popen[bytes]") -> None:
    def answers() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
        except OSError:
            return False
        return True

    def alive() -> None:
        assert daemon.poll() is None, "sshd has ended"

    wait_until(answers, alive)


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """`ssh:phone` reaches this machine; the folder that its programs are put into."""
    if not Path(SSHD).exists() or shutil.which("ssh") is None:
        pytest.skip(f"no {SSHD} or no ssh: on Debian, apt install openssh-server openssh-client")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd gives up its rights, which the system makes
    home, host_key, key = tmp_path / "device", make_key(tmp_path / "host"), make_key(tmp_path / "key")
    home.mkdir()
    port = free_port()
    server = tmp_path / "sshd_config"
    server.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {tmp_path}/key.pub\nSubsystem sftp internal-sftp\nPermitRootLogin yes\n"
        f"SetEnv TMPDIR={home}\n"
    )
    client = tmp_path / "ssh_config"
    client.write_text(
        f"Host phone\n HostName 127.0.0.1\n Port {port}\n User {getpass.getuser()}\n IdentityFile {key}\n"
        f" IdentitiesOnly yes\n StrictHostKeyChecking no\n UserKnownHostsFile {tmp_path}/known\n"
        " LogLevel ERROR\n"
    )
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("ssh", "scp"):  # what ~/.ssh/config would do
        path = programs / name
        path.write_text(f'#!/bin/sh\nexec {shutil.which(name)} -F {client} "$@"\n')
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    with (tmp_path / "sshd.log").open("wb") as log:
        daemon = subprocess.Popen([SSHD, "-D", "-e", "-f", str(server)], stderr=log)
    try:
        (tmp_path / "sshd.pid").write_text(str(daemon.pid))
        wait_for(port, daemon)
        yield home
    finally:
        daemon.terminate()
        daemon.wait(30)


def test_a_host_writes_a_record(device: Path, small_bundle: Path, tmp_path: Path) -> None:
    runner = write_stand_in(tmp_path / "runner")
    plan = BenchPlan(quick=True, frames=3, seconds=5.0, warm_up=1, cool_down_s=0.0, device_name="a phone")
    out, scratch = tmp_path / "records", tmp_path / "scratch"
    out.mkdir()
    scratch.mkdir()
    with load_bundle(small_bundle) as bundle:
        words = parse_targets(["ssh:phone"])
        results = run_devices(
            words, BenchRequest((bundle,), plan, out, runner), scratch, lambda word: NoProgress()
        )
    assert results.problems == ()
    ((path, record),) = results.records
    assert read_record(path) == record
    assert record.golden.ok
    assert (record.target.kind, record.target.address) == ("ssh", "phone")
    assert record.device.name == "a phone"
    assert record.device.properties["host"] == socket.gethostname()
    assert record.run is not None
    assert record.run.frames == 3
    assert list(device.iterdir()) == []  # nothing is left there


def test_exit_codes_are_passed_on(device: Path, tmp_path: Path) -> None:
    line = "echo 'not that bundle' >&2; exit 2"
    session = open_session(open_target("ssh:phone"), write_stand_in(tmp_path / "runner", line))
    with pytest.raises(EngineError, match="ssh:phone: the runner's machine refuses: not that bundle"):
        session.ask("machine")
    session.close()
    assert list(device.iterdir()) == []


def children(parent: int) -> list[int]:
    """Processes that another one has started."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = status.read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(status.parent.name))
    return found


def test_a_host_that_disappears(device: Path, tmp_path: Path) -> None:
    session = open_session(open_target("ssh:phone"), write_stand_in(tmp_path / "runner", "sleep 20"))
    daemon = int((tmp_path / "sshd.pid").read_text())

    def cut() -> None:
        for child in children(daemon):
            for one in (*children(child), child):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)

    with pytest.raises(EngineError, match="ssh:phone: the connection was lost"):
        session.ask("machine", tick=cut)


def test_an_interrupted_run_ends_on_the_host(device: Path, tmp_path: Path) -> None:
    started = tmp_path / "started"
    line = f"trap 'echo >{tmp_path}/killed; exit 0' TERM; echo >{started}; sleep 60 & wait"
    session = open_session(open_target("ssh:phone"), write_stand_in(tmp_path / "runner", line))

    def interrupt() -> None:
        if started.exists():  # a busy machine takes its time to log in
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.ask("machine", tick=interrupt)
    wait_until((tmp_path / "killed").exists)  # the signal has been sent; the shell may need a while
    session.close()
    assert list(device.iterdir()) == []


def test_an_unknown_host_is_refused(device: Path) -> None:
    with pytest.raises(EngineError, match=r"ssh:absent\.invalid: the connection was lost: ssh: Could not"):
        open_session(open_target("ssh:absent.invalid"))


def test_a_runner_that_is_not_built(device: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POCKETDET_RUN", str(tmp_path / "absent"))
    monkeypatch.setenv("POCKETDET_RUN_AARCH64", str(tmp_path / "absent"))
    with pytest.raises(UsageError, match=r"absent: there is no runner for .*; build it with: make native"):
        open_session(open_target("ssh:phone"))


@pytest.mark.parametrize("word", ["ssh:-oProxyCommand=x", "ssh:a b"])
def test_invalid_hosts_are_refused(word: str) -> None:
    with pytest.raises(UsageError, match="expected ssh:HOST"):
        open_target(word)
