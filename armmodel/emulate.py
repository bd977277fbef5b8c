"""Run a program for 64-bit ARM under qemu and count the blocks that it executes.

The program sees one processor, that of the core, whatever machine this is: ncnn chooses kernels and tiles by
the instructions, the identification and the caches that it finds in /proc and /sys. Nor does it see anything
else of this machine that would move its memory and with it the lines that miss: its path, its variables and
its stack have the same size everywhere.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from pocketdet.armmodel.cores import OUTER_KIB, OUTER_WAYS, Core
from pocketdet.armmodel.instrument import INSTALL, Emulator, Llvm
from pocketdet.armmodel.trace import Symbols, Trace, parse_symbols, parse_trace
from pocketdet.benchmarks.targets.base import last_line, run_process
from pocketdet.errors import EngineError, UsageError

LIMIT_S = 3600.0
STACK_BYTES: Final = 8 << 20  # qemu takes this machine's limit (ulimit -s) otherwise
PATH_BYTES: Final = 255
"""The length of the program's path, which the C library keeps in the program's memory."""


def read_symbols(llvm: Llvm, program: Path) -> Symbols:
    """List the functions of a program. Raises `EngineError` if it has none."""
    done = run_process([str(llvm.nm), "--demangle", str(program)], LIMIT_S)
    symbols = parse_symbols(done.out.decode(errors="replace"))
    if not symbols.addresses:
        raise EngineError(f"{program}: expected a program with a symbol table, found none")
    return symbols


def count_blocks(
    emulator: Emulator,
    core: Core,
    program: Path,
    arguments: Sequence[str],
    watched: Iterable[int],
    folder: Path,
    tick: Callable[[], None] = lambda: None,
) -> tuple[Trace, bytes]:
    """Run a program to its end.

    Args:
        emulator: qemu and its plugin.
        core: The core to emulate.
        program: The program.
        arguments: Its arguments. Their lengths move the program's memory, so that paths in them should be
            relative to `folder`, with names that do not depend on where the files came from.
        watched: Addresses that split the counts.
        folder: The folder that the program runs in.
        tick: Called while it runs.

    Returns:
        The counts, and what the program wrote to its standard output.

    Raises:
        UsageError: If the program refuses its input, or the path of the folder for temporary files is long.
        EngineError: If it crashes, or qemu fails.
    """
    with tempfile.TemporaryDirectory(prefix="pocketdet-") as name:
        scratch = Path(name).resolve()
        counts = scratch / "counts"
        plugin = [f"{emulator.plugin},out={counts}", *(f"watch={address:#x}" for address in watched)]
        plugin += [f"cache={core.l1_kib}:{core.l1_ways}", f"cache={OUTER_KIB}:{OUTER_WAYS}"]
        write_machine(core, scratch / "root")
        qemu = [str(emulator.qemu), "-cpu", core.emulated, "-seed", "0", "-s", str(STACK_BYTES)]
        qemu += ["-0", program.name, "-L", str(scratch / "root"), "-plugin", ",".join(plugin)]
        copy = copy_to_constant_path(program, scratch)
        # no variables of this machine: the place of the stack would depend on them
        words = ["/usr/bin/env", "-i", "-C", str(folder), *qemu, str(copy), *arguments]
        done = run_process(words, LIMIT_S, tick)
        if "count_blocks: expected" in done.err:
            raise EngineError(f"{emulator.plugin}: the plugin is of another version; {INSTALL}")
        if done.code == 2:
            raise UsageError(last_line(done.err))
        if done.code != 0:
            raise EngineError(
                f"{program.name} under qemu ended with exit code {done.code}: {last_line(done.err)}"
            )
        try:
            with counts.open(encoding="ascii") as lines:
                return parse_trace(lines), done.out
        except OSError as error:
            raise EngineError(f"qemu wrote no block counts: {error.strerror or error}") from error


def copy_to_constant_path(program: Path, folder: Path) -> Path:
    """Copy a program into a folder, to a path of `PATH_BYTES` bytes.

    Args:
        program: The program.
        folder: An absolute path without links.

    Returns:
        The path of the copy.

    Raises:
        UsageError: If the path of the folder is too long.
    """
    length = len(os.fsencode(folder))
    most = PATH_BYTES - len(os.fsencode(f"/-/{program.name}"))
    if length > most:
        raise UsageError(
            f"{folder}: the path of a folder for temporary files has {length} bytes, expected at most "
            f"{most}; set TMPDIR to another folder"
        )
    copy = folder / ("-" * (most - length + 1)) / program.name
    copy.parent.mkdir()
    shutil.copy2(program, copy)
    return copy


def write_machine(core: Core, root: Path) -> None:
    """Write the files in which Linux describes a machine with one core.

    Args:
        core: The core.
        root: A new folder that stands for the root of the file system.
    """
    cpu = "sys/devices/system/cpu/cpu0"
    texts = {
        "proc/cpuinfo": f"processor\t: 0\nCPU implementer\t: {core.midr >> 24:#04x}\nCPU architecture: 8\n"
        f"CPU variant\t: 0x0\nCPU part\t: {core.midr >> 4 & 0xFFF:#05x}\nCPU revision\t: 0\n",
        f"{cpu}/regs/identification/midr_el1": f"{core.midr:#018x}\n",
        f"{cpu}/cpufreq/cpuinfo_max_freq": "2000000\n",
        f"{cpu}/topology/thread_siblings_list": "0\n",
        f"{cpu}/topology/core_cpus_list": "0\n",
        "sys/devices/system/cpu/cpufreq/stats/cpu0/time_in_state": "2000000 1\n",
    }
    caches = ((1, "Data", core.l1_kib), (1, "Instruction", core.l1_kib), (2, "Unified", core.l2_kib))
    for index, (level, kind, kib) in enumerate(caches):
        files = {"level": level, "type": kind, "size": f"{kib}K", "shared_cpu_map": 1, "shared_cpu_list": 0}
        texts |= {f"{cpu}/cache/index{index}/{name}": f"{value}\n" for name, value in files.items()}
    texts |= {
        f"{cpu}/cache/index{index}/level": "0\n" for index in range(len(caches), 10)
    }  # hides the host's
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
