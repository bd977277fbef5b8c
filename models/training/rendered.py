"""Deprecated name of `pocketdet.datasets.scenes.write_dataset`."""

import runpy

if __name__ == "__main__":
    runpy.run_module("pocketdet.datasets.scenes.write_dataset", run_name="__main__")
