"""Why a test cannot run here, in the same words everywhere: the summary counts tests by these reasons."""

NATIVE = "pocketdet-run is not built: make native"
NATIVE_ARM = "pocketdet-run for aarch64 is not built: make native-aarch64"
QEMU = "no qemu-aarch64-static: on Debian, apt install qemu-user-static"
SHARED_DATA = "datasets and models of other projects are not in ../shared/data"
CHROMIUM = "no chromium: on Debian, apt install chromium"
