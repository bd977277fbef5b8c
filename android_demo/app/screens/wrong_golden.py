"""Copy a bundle and change one golden value of its first network, with the hash to match.

    python wrong_golden.py BUNDLE COPY

Such a bundle opens, and its self-test fails: what a phone that computes wrongly would show.
"""

import hashlib
import json
import shutil
import struct
import sys
from pathlib import Path


def change_golden(source: Path, copy: Path) -> None:
    """Write the copy; both are folders."""
    shutil.copytree(source, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    name = manifest["golden"]["stages"]
    data = bytearray((copy / name).read_bytes())
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    stage = next(key for key in sorted(header) if key == "sam" or key.startswith("outputs."))
    start = 8 + length + header[stage]["data_offsets"][0]
    struct.pack_into("<f", data, start, struct.unpack_from("<f", data, start)[0] + 0.125)
    (copy / name).write_bytes(data)
    manifest["files"][name]["sha256"] = hashlib.sha256(data).hexdigest()
    (copy / "manifest.json").write_text(json.dumps(manifest))


if __name__ == "__main__":
    change_golden(Path(sys.argv[1]), Path(sys.argv[2]))
