"""Draw the example pictures of the app, src/facegender/serving/examples: synthetic faces that no data set contains.

Usage: python -m scripts.draw_examples
"""

from pathlib import Path

from facegender.data.images import encode_jpeg
from facegender.errors import OneLineParser, one_line_errors
from facegender.synthetic.dataset import draw_faces

FOLDER = Path(__file__).resolve().parents[1] / "src" / "facegender" / "serving" / "examples"
SEED = 2026
CHOSEN = (8, 4, 10, 6)
"""Numbers of the faces that differ most to the eye: two are Male and two are No male."""


@one_line_errors()
def main() -> None:
    """Write 1.jpg to 4.jpg."""
    FOLDER.mkdir(exist_ok=True)
    faces = draw_faces(max(CHOSEN) + 1, SEED)
    for number, chosen in enumerate(CHOSEN, start=1):
        (FOLDER / f"{number}.jpg").write_bytes(encode_jpeg(faces[chosen]))


if __name__ == "__main__":
    OneLineParser(prog="python -m scripts.draw_examples", description=__doc__).parse_args()
    main()
