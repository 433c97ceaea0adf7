"""What libraries that decode images write to standard error: they report damage only there, without the file's name."""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import cv2

_STANDARD_ERROR = 2
_PART = 65_536

# libjpeg (jerror.h: every JWRN_ message of a decoder) prints only the first warning of an image. libpng warns of
# anything; what it says of the chunk IDAT is about pixels. OpenCV's log passes on what libtiff says, and libjpeg in it.
_DAMAGE = re.compile(
    r"Corrupt JPEG data: [^\n]*|Premature end of JPEG file|Inconsistent progression sequence [^\n]*"
    r"|Invalid SOS parameters for sequential JPEG|Unknown Adobe color transform code [^\n]*"
    r"|Warning: unknown JFIF revision number [^\n]*|libpng warning: IDAT: [^\n]*"
    r"|(?<= TIFF_Error )[^\n]*|(?<= TIFF_Warning )JPEGLib: [^\n]*"
)
_OTHER = re.compile(r"libpng (?:warning|error): [^\n]*|\[[ A-Z]+:\d+@[\d.]+\] (?:(?!\n\[).)*", re.DOTALL)

_redirected = threading.Lock()


@contextmanager
def damage_reported() -> Iterator[list[str]]:
    """Collect what decoders say about damage, instead of letting it reach the terminal.

    The block must be short: standard error of the whole process is redirected meanwhile, and other threads that decode
    wait. What else was written there is passed on at the end, except for libpng's remarks on metadata and OpenCV's log.

    Yields:
        A list, empty until the block ends: the decoders' warnings that an image is damaged.
    """
    found: list[str] = []
    with _redirected:
        kept = _keep_standard_error()
        reader, writer = _pipe(os.getpid())
        os.dup2(writer, _STANDARD_ERROR)
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_WARNING)
        try:
            yield found
        finally:
            cv2.utils.logging.setLogLevel(level)
            os.dup2(kept, _STANDARD_ERROR)
            os.close(kept)
            written = _read(reader)
            if written:
                found += _DAMAGE.findall(written)
                rest = _OTHER.sub("", _DAMAGE.sub("", written))
                if rest.strip():
                    os.write(_STANDARD_ERROR, rest.encode(errors="surrogateescape"))


@cache
def _pipe(_: int) -> tuple[int, int]:
    """Make the pipe of a process, by its id: one that is shared with a child would mix up what they write."""
    reader, writer = os.pipe()
    # A decoder that writes more than the pipe holds must not wait, and neither must we if it wrote nothing.
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    return reader, writer


def _keep_standard_error() -> int:
    try:
        return os.dup(_STANDARD_ERROR)
    except OSError:  # It is closed.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, _STANDARD_ERROR)
        return nowhere if nowhere != _STANDARD_ERROR else os.dup(nowhere)


def _read(reader: int) -> str:
    written = b""
    try:
        while part := os.read(reader, _PART):
            written += part
    except BlockingIOError:  # There is no more.
        pass
    return written.decode(errors="surrogateescape")
