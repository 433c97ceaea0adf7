"""The files that an import writes read back the same."""

from pathlib import Path

import pandas as pd
import pytest

from facegender.data.lists import read_annotations
from facegender.importing.outputs import ATTRIBUTE_LIST, IDENTITY_LIST, PARTITION_LIST, write_lists


@pytest.mark.parametrize("image_id", ["a b.jpg", "a,b.jpg", 'a"b.jpg', '"a".jpg', "a, b.jpg", "NA"])
def test_lists_with_odd_image_ids_read_back_the_same(tmp_path: Path, image_id: str) -> None:
    annotations = pd.DataFrame(
        {"Male": [1, 0], "Young": [0, 0], "partition": [0, 2], "identity": [7, 8]}, index=[image_id, "plain.jpg"]
    ).rename_axis("image_id")

    write_lists(tmp_path, annotations)

    read = read_annotations(*(tmp_path / name for name in (ATTRIBUTE_LIST, PARTITION_LIST, IDENTITY_LIST)))
    assert read.to_dict("index") == annotations.to_dict("index")
