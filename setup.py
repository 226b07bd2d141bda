"""The C extension, built where there is a compiler and left out where there is none.

Everything else is in pyproject.toml. Without the extension the package works on
`diskimage.reference`.
"""

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext


class OptionalBuild(build_ext):
    """A failed compilation is told and survived: setuptools does so for optional extensions."""

    def finalize_options(self) -> None:
        """Mark every extension as one that may fail."""
        super().finalize_options()
        for extension in self.extensions:
            extension.optional = True


# Kernels are for Linux; macOS and Windows run on the reference twin.
NATIVE = sys.platform == "linux" and Path("_native/build.py").exists()

setup(
    cffi_modules=["_native/build.py:ffibuilder"] if NATIVE else [],
    cmdclass={"build_ext": OptionalBuild},
    # cffi builds against the stable interface of CPython: one wheel a platform
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if NATIVE else {},
)
