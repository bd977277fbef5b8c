# Toolchain: 64-bit ARM Linux, and Android shells when linked statically. AARCH64_CXX chooses the compiler.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
if(DEFINED ENV{AARCH64_CXX})
  set(CMAKE_CXX_COMPILER "$ENV{AARCH64_CXX}")
else()
  set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
endif()
# so that ctest can run what was built; QEMU_CPU chooses the processor
find_program(qemu_aarch64 NAMES qemu-aarch64-static qemu-aarch64)
if(qemu_aarch64)
  # where Debian keeps the libraries of programs that are not static
  set(CMAKE_CROSSCOMPILING_EMULATOR "${qemu_aarch64};-L;/usr/aarch64-linux-gnu")
endif()
