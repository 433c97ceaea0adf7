"""The help of every command fits a terminal and speaks the user's language, not Python's."""

import io
import re
import sys
from contextlib import redirect_stdout

import pytest

from facegender import cli

COMMANDS = [str(command.name) for command in cli.app.registered_commands]


def help_of(*command: str) -> str:
    """Run a command with --help on a terminal of 80 columns."""
    shown = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(shown):
        patch.setenv("COLUMNS", "80")
        patch.setattr(sys, "argv", ["facegender", *command, "--help"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert ended.value.code == 0
    return shown.getvalue()


def test_the_list_of_commands_fits_and_no_sentence_is_cut_off() -> None:
    lines = help_of().splitlines()

    assert all(len(line) <= 80 for line in lines)
    shown = dict(line.split(maxsplit=1) for line in lines[lines.index("Commands:") + 1 :])
    assert list(shown) == COMMANDS
    assert all(sentence.endswith(".") and not sentence.endswith("...") for sentence in shown.values())


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_fits_and_names_no_types_of_python(command: str) -> None:
    text = help_of(command)

    assert all(len(line) <= 80 for line in text.splitlines())
    # <a|b> lists what may be given.
    assert set(re.findall(r"<[^|>]*>", text)) == set()
    assert not re.search(r"\b(str|int|float|bool)\b|list\[", text)
    assert "[[" not in text
    assert "...}" not in text
    assert re.search(r"^Options:$", text, flags=re.M)


def test_arguments_are_explained() -> None:
    assert re.search(r"^Arguments:\n  PATH  File, folder or pattern", help_of("predict"), flags=re.M)
