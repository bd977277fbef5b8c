"""Cycles of blocks of instructions on a core, from LLVM's machine-code analyser, `llvm-mca`.

A block is analysed as a loop of itself, the right thing for the loops of kernels; straight code with long
latencies comes out too short. Caches and memory do not exist in the model. `CostStore` keeps what
llvm-mca has said between runs.
"""

import json
import re
import sqlite3
import struct
import subprocess
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

from pocketdet.armmodel.trace import Words
from pocketdet.errors import EngineError, UsageError

_TABLE = """CREATE TABLE IF NOT EXISTS costs (
    block BLOB, model TEXT, cycles INTEGER, skipped INTEGER, PRIMARY KEY (block, model)) WITHOUT ROWID"""


class CostStore:
    """Total cycles and skipped instructions by block and model of a core, in an SQLite file.

    Several processes may use one file at once.

    Args:
        path: The file; it and its folder are made. Its name has the version of LLVM and of the method.

    Raises:
        UsageError: If it cannot be written, or is no such file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=60)
            with self._database:
                self._database.execute(_TABLE)
        except (OSError, sqlite3.Error) as error:
            raise self._error(error) from error

    def read(self, model: str, blocks: Collection[Words]) -> dict[Words, tuple[int, int]]:
        """Return what is known of blocks. Raises `UsageError` for a damaged file."""
        query = "SELECT cycles, skipped FROM costs WHERE block = ? AND model = ?"
        found = {}
        try:
            for words in blocks:
                row = self._database.execute(query, (_key(words), model)).fetchone()
                if row is not None:
                    found[words] = (int(row[0]), int(row[1]))
        except (sqlite3.Error, TypeError, ValueError) as error:
            raise self._error(error) from error
        return found

    def write(self, model: str, costs: Mapping[Words, tuple[int, int]]) -> None:
        """Keep costs. Raises `UsageError` if the file cannot be written."""
        rows = [(_key(words), model, cycles, skipped) for words, (cycles, skipped) in costs.items()]
        try:
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO costs VALUES (?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise self._error(error) from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _error(self, error: Exception) -> UsageError:
        return UsageError(
            f"{self._path}: cannot be used for the costs of blocks: {error}; delete it and try again"
        )


def _key(words: Words) -> bytes:
    return sha256(struct.pack(f"<{len(words)}I", *words)).digest()


ITERATIONS = 60
_FEATURES = "-mattr=+v8.2a,+fullfp16,+dotprod,+i8mm,+bf16,+fp16fml,+rcpc,+pauth"
_UNKNOWN = "nop"
_BRANCH = "b #4"
# llvm-mca gives calls a made-up latency of 100 cycles, and has no latencies of system registers
_AS_BRANCHES = frozenset({"bl", "blr", "ret", "br", "svc", "mrs", "msr", "dmb", "dsb", "isb"})
_INVALID = re.compile(r"^<stdin>:(\d+):\d+: warning: invalid instruction encoding", re.MULTILINE)
_BATCH = 64


@dataclass(frozen=True)
class BlockCost:
    """Cycles of one execution of a block, and how many of its instructions the model of the core lacks."""

    cycles: float
    skipped: int


class PipelineModel:
    """Costs of blocks by core. What was analysed before comes from the store.

    Args:
        llvm_mc: The disassembler.
        llvm_mca: The analyser, of the same version.
        store: Where costs are kept.
        jobs: Analysers at a time.
    """

    def __init__(self, llvm_mc: Path, llvm_mca: Path, store: CostStore, jobs: int) -> None:
        self._llvm_mc, self._llvm_mca, self._store, self._jobs = llvm_mc, llvm_mca, store, jobs

    def costs(
        self, model: str, blocks: Collection[Words], advance: Callable[[int], None] = lambda done: None
    ) -> dict[Words, BlockCost]:
        """Analyse blocks.

        Args:
            model: LLVM's name of the core.
            blocks: Instruction words of each block.
            advance: Called with the number of blocks that have become known, from this thread.

        Returns:
            The cost of each block.

        Raises:
            EngineError: If LLVM fails.
        """
        found = self._store.read(model, blocks)
        costs = {words: BlockCost(cycles / ITERATIONS, skipped) for words, (cycles, skipped) in found.items()}
        advance(len(costs))
        missing = [words for words in blocks if words not in costs]
        if not missing:
            return costs
        text = self._disassemble(missing)
        with ThreadPoolExecutor(self._jobs) as pool:
            parts = [missing[i : i + _BATCH] for i in range(0, len(missing), _BATCH)]
            jobs = [pool.submit(self._analyse, model, part, text) for part in parts]
            try:
                for job in as_completed(jobs):
                    analysed = job.result()
                    self._store.write(model, analysed)
                    costs |= {w: BlockCost(cycles / ITERATIONS, n) for w, (cycles, n) in analysed.items()}
                    advance(len(analysed))
            finally:
                for job in jobs:
                    job.cancel()
        return costs

    def _disassemble(self, blocks: Sequence[Words]) -> dict[int, str]:
        """The assembly text of every word."""
        distinct = sorted(set(chain.from_iterable(blocks)))
        lines = [" ".join(f"0x{byte:02x}" for byte in struct.pack("<I", word)) for word in distinct]
        done = _run([self._llvm_mc, "-disassemble", "-triple=aarch64", _FEATURES], "\n".join(lines))
        unknown = {int(number) - 1 for number in _INVALID.findall(done.stderr)}
        texts = iter(parse_disassembly(done.stdout))
        try:
            named = {w: _UNKNOWN if i in unknown else next(texts) for i, w in enumerate(distinct)}
        except StopIteration:
            raise EngineError(f"{self._llvm_mc}: fewer instructions than words were disassembled") from None
        if next(texts, None) is not None:
            raise EngineError(f"{self._llvm_mc}: more instructions than words were disassembled")
        return named

    def _analyse(
        self, model: str, blocks: Sequence[Words], text: dict[int, str]
    ) -> dict[Words, tuple[int, int]]:
        """Total cycles of all iterations, and instructions that were skipped, of each block."""
        options = [f"-mcpu={model}", _FEATURES, f"-iterations={ITERATIONS}", "-json"]
        options += ["-skip-unsupported-instructions=any", "-instruction-info=0", "-resource-pressure=0"]
        done = _run([self._llvm_mca, "-march=aarch64", *options], assembly(blocks, text))
        try:
            return dict(parse_analysis(json.loads(done.stdout), blocks))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise EngineError(f"{self._llvm_mca}: its output is not understood: {error!r}") from error


def parse_disassembly(output: str) -> list[str]:
    """The instructions in the output of `llvm-mc -disassemble`, without comments."""
    lines = (line.partition("//")[0].strip() for line in output.splitlines())
    return [line for line in lines if line and not line.startswith(".")]


def assembly(blocks: Sequence[Words], text: dict[int, str]) -> str:
    """The input of llvm-mca: a region for each block, named by its place."""
    lines = []
    for i, words in enumerate(blocks):
        lines.append(f"# LLVM-MCA-BEGIN {i}")
        lines += [_BRANCH if text[w].split()[0] in _AS_BRANCHES else text[w] for w in words]
        lines.append("# LLVM-MCA-END")
    return "\n".join(lines)


def parse_analysis(
    document: dict[str, Any], blocks: Sequence[Words]
) -> Iterator[tuple[Words, tuple[int, int]]]:
    """Total cycles and skipped instructions of each block.

    A region all of whose instructions were skipped is missing; it costs no cycles.
    """
    regions = {int(region["Name"]): region for region in document["CodeRegions"]}
    for i, words in enumerate(blocks):
        if i in regions:
            modelled = len(regions[i]["Instructions"])
            yield words, (int(regions[i]["SummaryView"]["TotalCycles"]), len(words) - modelled)
        else:
            yield words, (0, len(words))


def _run(command: Sequence[str | Path], text: str) -> "subprocess.CompletedProcess[str]":
    try:
        done = subprocess.run(
            list(map(str, command)), input=text, text=True, capture_output=True, check=False
        )
    except OSError as error:
        raise EngineError(f"{command[0]}: cannot be started: {error.strerror or error}") from error
    if done.returncode != 0:
        reason = (done.stderr.strip() or "it said nothing").splitlines()[0]
        raise EngineError(f"{command[0]} ended with exit code {done.returncode}: {reason[:300]}")
    return done
