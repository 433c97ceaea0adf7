"""A user's mistake is one line that says where, what is wrong and what to do, without a traceback."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from facegender.errors import FacegenderError, FacegenderErrors, one_line_errors
from tests.paths import ROOT

CP1252 = {**os.environ, "PYTHONIOENCODING": "cp1252:strict"}


def ended(error: Exception) -> str:
    with pytest.raises(SystemExit) as caught, one_line_errors():
        raise error
    return str(caught.value.code)


def test_an_error_has_its_fields_and_its_line() -> None:
    error = FacegenderError(Path("a.csv"), "line 3 is blank", "remove it")

    assert (error.where, error.what, error.remedy) == ("a.csv", "line 3 is blank", "remove it")
    assert str(error) == "a.csv: line 3 is blank; remove it"
    assert error.reason == "line 3 is blank; remove it"
    assert ended(error) == "error: a.csv: line 3 is blank; remove it"


def test_a_larger_place_comes_first_and_the_other_fields_stay() -> None:
    error = FacegenderError("1.jpg", "is empty", "fetch it again", ["one", "two"]).within("row 7")

    assert str(error) == "row 7: 1.jpg: is empty; fetch it again:\n  one\n  two"
    assert (error.where, error.what, error.remedy) == ("row 7: 1.jpg", "is empty", "fetch it again")


def test_several_mistakes_are_a_line_each() -> None:
    errors = [FacegenderError("a", "is 1", "use 2"), FacegenderError("b", "is 3", "use 4")]

    assert ended(FacegenderErrors(errors)) == "error: a: is 1; use 2\nerror: b: is 3; use 4"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "data/x.zip"),
            "data/x.zip: No space left on device; free space on its disk and try again",
        ),
        (
            OSError(errno.EDQUOT, "Disk quota exceeded", "data/x.zip"),
            "data/x.zip: Disk quota exceeded; free space on its disk and try again",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "models"),
            "models: Permission denied; fix that and try again",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "a/.partial-report.html"),
            "a/report.html: Permission denied; fix that and try again",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", b".partial-report.html"),
            "report.html: Permission denied; fix that and try again",
        ),
        (OSError(errno.EIO, "I/O error", "a/.partial-out/b.zip"), "a/out/b.zip: I/O error; fix that and try again"),
        (OSError(errno.EIO, "I/O error", ".partial-"), ".partial-: I/O error; fix that and try again"),
        (OSError(errno.EIO, "I/O error", "https://h.org/a"), "https://h.org/a: I/O error; fix that and try again"),
        (OSError(errno.EBADF, "Bad file descriptor", 5), "5: Bad file descriptor; fix that and try again"),
        (OSError("odd"), "the operating system: odd; fix that and try again"),
    ],
)
def test_an_error_of_the_operating_system_is_one_line(error: OSError, line: str) -> None:
    assert ended(error) == f"error: {line}"


class ResourceExhaustedError(Exception):
    """An error like tf.errors.ResourceExhaustedError."""


def caused_by(cause: Exception) -> Exception:
    error = ValueError("cannot build the network")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libopenvino.so.2641: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
        RuntimeError("Exception from node.cpp:823:\n[CPU] Reorder node with name 'pooled' can't alloc\n"),
        ResourceExhaustedError("Exception encountered when calling BatchNormalization.call().\n\nOOM when allocating"),
        caused_by(RuntimeError("std::bad_alloc")),
    ],
)
def test_a_lack_of_memory_is_one_line(error: Exception) -> None:
    assert ended(error) == "error: this machine: memory ran out; close other programs, or lower train.batch_size"


@pytest.mark.parametrize("program", ["raise KeyboardInterrupt", "import stages.check\nraise KeyboardInterrupt"])
def test_ctrl_c_is_one_line_in_stages_and_the_process_ends_as_by_the_signal(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"import stages\n{program}"], cwd=ROOT, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (-signal.SIGINT, "error: interrupted; to go on, start it again\n")


def test_a_bug_in_a_stage_keeps_its_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", "import stages\n1 / 0"], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "Traceback (most recent call last):"
    assert done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), one_line_errors():
        raise ZeroDivisionError


def test_what_names_contain_cannot_break_a_line_or_reach_the_terminal() -> None:
    error = FacegenderError("a\nb\x1b[31m.jpg", "is \u202ebad\udce9", "fix\r it", ["1\n2", "\x9b3"])

    assert str(error) == "a\\nb\\x1b[31m.jpg: is \\u202ebad\\xe9; fix\\r it:\n  1\\n2\n  \\x9b3"
    # The fields are as they were, for JSON and for files.
    assert error.where == "a\nb\x1b[31m.jpg"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_the_caller_closed_are_empty_or_lead_nowhere(closed: str, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from facegender.errors import one_line_errors\n"
        "with one_line_errors():\n"
        "    read = sys.stdin.buffer.read()\n"
        "    print('out', sys.stdout.isatty()), print('err', sys.stderr.isatty(), file=sys.stderr)\n"
        "    Path('done').write_bytes(read)\n"
    )
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    command = f"{sys.executable} program.py {closed}"

    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, input="in", capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "done").read_text(encoding="utf-8") == ("" if "<" in closed else "in")
    assert (done.stdout == "out False\n") == (" >&-" not in f" {closed}")
    assert (done.stderr == "err False\n") == ("2>&-" not in closed)


def test_a_terminal_that_lacks_a_character_gets_an_escape() -> None:
    program = (
        "from facegender.errors import FacegenderError, one_line_errors\n"
        "with one_line_errors():\n"
        "    print('caf\\u00e9 \\u65e5 \\udce9')\n"
        "    raise FacegenderError('\\u65e5.jpg', 'is bad', 'fix it')\n"
    )

    done = subprocess.run([sys.executable, "-X", "utf8=0", "-c", program], capture_output=True, env=CP1252)

    assert done.stdout == b"caf\xe9 \\u65e5 \\udce9\n"
    assert done.stderr == b"error: \\u65e5.jpg: is bad; fix it\n"
    assert done.returncode == 1
