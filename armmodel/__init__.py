"""Cycles of an ARM core without that core: executed blocks of an emulated program times a pipeline model.

    cycles       = sum over blocks of  executions(block) x cycles per iteration(block, core)
    milliseconds = cycles / clock  +  lines that miss in the caches x time per line(device)

`emulate` counts executions and lines (qemu with the plugin `native/count_blocks.c`), `pipeline` asks LLVM's
machine-code analyser for the cycles, `frame` adds them up by stage, layer and function. Nothing is measured:
every figure is modelled. `memory_fit` finds the time per line in published times.
"""
