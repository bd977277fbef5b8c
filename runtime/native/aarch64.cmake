# Toolchain: 64-bit ARM Linux, and Android shells when linked statically. AARCH64_CXX chooses the compiler.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
if(DEFINED ENV{AARCH64_CXX})
  set(CMAKE_CXX_COMPILER "$ENV{AARCH64_CXX}")
else()
  set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
endif()
