"""An APK from its parts, aligned and signed, and what must hold of it."""

import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import dex
import resources
from tools import FailedError, run

PAGE = 16384  # bytes; Android 15 and later load nothing that is aligned to less
WORD = 4
# apksigner keeps the alignment that an entry's extra field of this kind states (u16 multiple, then padding)
ALIGNMENT_FIELD = 0xD935
DEBUG_PASSWORD = "android"  # noqa: S105 - of debug keys, by convention


def assemble(
    out: Path, linked: Path, code: Path | None, libraries: Mapping[str, Path], bundles: Path | None
) -> None:
    """Write an unsigned APK.

    Args:
        out: the file.
        linked: aapt2's APK with manifest and resources.
        code: classes.dex, or `None` for an APK without code.
        libraries: libpocketdet.so by ABI; stored, so that they can be mapped from the APK.
        bundles: a folder of NAME.pocketdet folders, which become assets.
    """
    with zipfile.ZipFile(out, "w") as apk, zipfile.ZipFile(linked) as resources:
        for name in resources.namelist():
            _add(apk, name, resources.read(name), stored=name == "resources.arsc")
        if code is not None:
            _add(apk, "classes.dex", code.read_bytes(), stored=False)
        for abi, library in libraries.items():
            _add(apk, f"lib/{abi}/libpocketdet.so", library.read_bytes(), stored=True)
        for path in sorted(bundles.glob("*.pocketdet/**/*")) if bundles is not None else []:
            if path.is_file():
                _add(apk, f"assets/bundles/{path.relative_to(bundles)}", path.read_bytes(), stored=False)


def sign(apk: Path, key: Path, log: Path) -> None:
    """Sign in place with a key store of `DEBUG_PASSWORD`, which is made if it is not there."""
    password = f"pass:{DEBUG_PASSWORD}"
    if not key.exists():
        command: list[str | Path] = ["keytool", "-genkeypair", "-keystore", key, "-storetype", "PKCS12"]
        command += ["-storepass", DEBUG_PASSWORD, "-alias", "debug", "-keyalg", "RSA", "-keysize", "2048"]
        run([*command, "-validity", "10000", "-dname", "CN=Android Debug"], "keytool", log)
    command = ["apksigner", "sign", "--ks", key, "--ks-pass", password, "--ks-key-alias", "debug"]
    run([*command, "--min-sdk-version", resources.gradle_value("minSdk"), apk], "apksigner sign", log)


def inspect(apk: Path, log: Path) -> str:
    """What was seen of a signed APK. Raises `FailedError` for one that Android or its store would refuse."""
    least, target = resources.gradle_value("minSdk"), resources.gradle_value("targetSdk")
    command: list[str | Path] = ["apksigner", "verify", "--verbose", "--min-sdk-version", least, apk]
    verified = run(command, "apksigner verify", log)
    if re.search(r"v2 scheme[^\n]*: true", verified) is None:
        raise FailedError(f"{apk}: expected a signature of scheme v2, found\n{verified}")
    run(["zipalign", "-c", str(WORD), apk], "zipalign", log)
    badging = run(["aapt2", "dump", "badging", apk], "aapt2 dump badging", log)
    for expected in (f"targetSdkVersion:'{target}'", f"sdkVersion:'{least}'", "launchable-activity"):
        if expected not in badging:
            raise FailedError(f"{apk}: expected {expected} in its manifest; all of it is in {log}")
    with zipfile.ZipFile(apk) as content:
        names = content.namelist()
        libraries = [one for one in content.infolist() if one.filename.startswith("lib/")]
        _check_pages(apk, libraries)
        code = "no code"
        if "classes.dex" in names:
            code = f"{len(dex.read(content.read('classes.dex'), apk).classes)} classes"
    abis = ", ".join(one.filename.split("/")[1] for one in libraries)
    return f"{len(names)} files, {code}, SDK {target}, libraries of {abis} at {PAGE >> 10} KiB pages, signed"


def _add(apk: zipfile.ZipFile, name: str, content: bytes, *, stored: bool) -> None:
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # the same bytes from the same parts
    entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    if stored:
        multiple = PAGE if name.endswith(".so") else WORD
        field = struct.calcsize("<HHH")
        assert apk.fp is not None
        start = apk.fp.tell() + zipfile.sizeFileHeader + len(name.encode()) + field
        padding = -start % multiple
        entry.extra = struct.pack("<HHH", ALIGNMENT_FIELD, 2 + padding, multiple) + bytes(padding)
    apk.writestr(entry, content)


def _check_pages(apk: Path, libraries: list[zipfile.ZipInfo]) -> None:
    if not libraries:
        raise FailedError(f"{apk}: expected lib/ABI/libpocketdet.so")
    with apk.open("rb") as stream:
        for one in libraries:
            stream.seek(one.header_offset)
            header = struct.unpack(zipfile.structFileHeader, stream.read(zipfile.sizeFileHeader))
            data = one.header_offset + zipfile.sizeFileHeader + header[10] + header[11]
            if one.compress_type != zipfile.ZIP_STORED or data % PAGE != 0:
                raise FailedError(
                    f"{apk}: expected {one.filename} stored at a multiple of {PAGE}, found byte {data}"
                )
