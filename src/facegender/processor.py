"""The kind of processor, which decides the last digits of floating-point numbers."""

import platform
import re
from pathlib import Path

_WIDEST_FIRST = ("amx_tile", "avx512_fp16", "avx512_bf16", "avx512_vnni", "avx512f", "avx_vnni", "avx2")
"""Linux's names of the instructions by which oneDNN, which TensorFlow and OpenVINO use on x86-64, chooses its code (its
documentation, CPU Dispatcher Control)."""


def this_processor() -> str:
    """Return this machine's architecture and widest vector instructions, such as `x86_64 avx512_bf16`.

    Where the system does not list instructions, only the architecture.
    """
    try:
        listed = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        listed = None
    flags = listed[1].split() if listed else []
    return " ".join([platform.machine(), *[name for name in _WIDEST_FIRST if name in flags][:1]])
