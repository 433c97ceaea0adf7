"""CSV tables that stages write and read."""

import io
import os
from pathlib import Path

import pandas as pd
import pytest

from facegender.data.tables import read_table, write_csv


def test_ids_stay_text_whatever_they_look_like(tmp_path: Path) -> None:
    table = pd.DataFrame({"image_id": ["007", "NA", "1e3", "nan", "a,b", ""], "label": [0, 1, 1, 0, 1, 0]})
    write_csv(tmp_path / "a.csv", table)

    assert read_table(tmp_path / "a.csv").to_dict("list") == table.to_dict("list")


def test_ids_are_text_even_if_all_are_numbers() -> None:
    assert read_table(io.StringIO("image_id,label\n007,1\n8,0\n"))["image_id"].tolist() == ["007", "8"]


def test_a_table_is_written_without_row_numbers_and_with_line_feeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "linesep", "\r\n")  # As on Windows.
    write_csv(
        tmp_path / "a.csv", pd.DataFrame({"image_id": ["\u00fc.jpg", "b.jpg"], "value": [0.5, 1.0]}, index=[7, 3])
    )

    assert (tmp_path / "a.csv").read_bytes() == "image_id,value\n\u00fc.jpg,0.5\nb.jpg,1.0\n".encode()


def test_a_table_replaces_the_one_before_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    for value in (1, 2):
        write_csv(tmp_path / "a.csv", pd.DataFrame({"value": [value]}))

    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert read_table(tmp_path / "a.csv")["value"].tolist() == [2]
