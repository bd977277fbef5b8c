"""Cycles of an ARM core without that core: executed blocks of an emulated program times a pipeline model.

    cycles = sum over blocks of  executions(block) x cycles per iteration(block, core)

`emulate` counts the executions (qemu with the plugin `native/count_blocks.c`), `pipeline` asks LLVM's
machine-code analyser for the cycles, `frame` and `account` add them up by stage, layer and function. Nothing
is measured and nothing is fitted: every figure is modelled. The model has no caches and no memory.
"""
