"""The device, the precision and the memory allocator of a training process."""

import ctypes
import re
import sys

import torch

from pocketdet.errors import UsageError


def choose_device(wanted: str = "auto", local_rank: int = 0, processes: int = 1) -> torch.device:
    """The device of one of the `processes` of a run, which is number `local_rank` on its machine.

    `wanted` is "cpu"; "cuda", the GPU with the number of the process; "cuda:N", for one process alone;
    or "auto", cuda where PyTorch sees a GPU and cpu elsewhere. Raises `UsageError` if it is none of them or
    there is no such GPU.
    """
    named = re.fullmatch(r"(auto|cpu|cuda)|cuda:(\d{1,4})", wanted)
    if named is None:
        raise UsageError(f"device {wanted!r}: expected auto, cpu, cuda or cuda:N")
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        why = "is built without CUDA" if torch.version.cuda is None else "finds no GPU"
        raise UsageError(f"device {wanted}: PyTorch {torch.__version__} {why}; choose cpu or auto")
    if named[2] is not None and processes > 1:
        raise UsageError(
            f"device {wanted} is one GPU for {processes} processes; say cuda, each takes its own"
        )
    index, count = int(named[2] or local_rank), torch.cuda.device_count()
    if index >= count:
        what = f"device {wanted}" if named[2] is not None else f"process {local_rank} of this machine"
        raise UsageError(f"{what}: GPU {index} does not exist, PyTorch sees {count}")
    return torch.device("cuda", index)


def use_autocast(device: torch.device, wanted: bool | None) -> bool:
    """Whether convolutions and matrix products run in bfloat16; None leaves it to the device.

    bfloat16 has the range of float32, so the loss needs no scaling. The choice for None is yes on GPUs that
    compute in it.
    """
    if wanted is not None:
        return wanted
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # malloc.h of glibc


def keep_freed_memory() -> bool:
    """Let glibc keep freed memory instead of handing it back; whether it was done.

    Activations of some 40 MB are otherwise mapped afresh in every step, and the kernel clears each page:
    76,000 page faults and a quarter of the time of a step of SNet49 at 320x320, batch 16. Other C
    libraries are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 1 << 26))
    return all(mallopt(name, value) == 1 for name, value in settings)
