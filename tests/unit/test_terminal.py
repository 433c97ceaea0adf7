"""Tables in Markdown are laid out on a terminal, and stay Markdown where they are piped."""

import io
import re
import sys

import pytest

from facegender.cli import _print_markdown

PAGE = "Better.\n\n| Metric | base |\n| --- | ---: |\n| val_log_loss | 0.5 |\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_markdown_is_laid_out_on_a_terminal_only(stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = stream()
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setenv("COLUMNS", "60")

    _print_markdown(PAGE)

    if stream is Terminal:
        text = re.sub(r"\x1b\[[\d;]*m", "", shown.getvalue())
        assert "|" not in text
        assert {"Better.", "Metric", "base", "val_log_loss", "0.5"} <= set(text.split())
        assert max(map(len, text.splitlines())) <= 60
    else:
        assert shown.getvalue() == PAGE
