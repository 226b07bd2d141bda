"""The extension `diskimage._kernels`, in cffi's API mode; `kernels.h` is the contract."""

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
FAMILIES = (
    "scan",
    "copying",
    "crc",
    "ecc",
    "frames",
    "subchannel",
    "lrw",
    "xts",
    "digests",
    "md5",
    "sha256",
    "columns",
    "tables",
    "adc",
    "inflate",
    "chd",
    "flac",
    "flac_write",
    "dispatch",
)

header = (HERE / "kernels.h").read_text(encoding="utf-8")
declarations = "\n".join(line for line in header.splitlines() if not line.startswith("#"))

ffibuilder = FFI()
ffibuilder.cdef(declarations)
ffibuilder.set_source(
    "diskimage._kernels",
    '#include "kernels.h"',
    sources=[f"_native/{family}.c" for family in FAMILIES],
    include_dirs=["_native"],
    extra_compile_args=["-std=gnu11", "-O3", "-Wall", "-Wextra", "-pthread"],
    extra_link_args=["-pthread"],
)
