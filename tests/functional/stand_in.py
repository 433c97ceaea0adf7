"""A stage that takes no time: it writes outs that depend on all that dvc.yaml says the stage depends on.

Copied over the scripts of stages that need TensorFlow, it leaves DVC's decisions as they are.
"""

import hashlib
import sys
from pathlib import Path
from typing import Any

import yaml

NAME = Path(__file__).stem


def fill(text: str) -> str:
    """Put the command's arguments where dvc.yaml has ${key} and ${item}."""
    for placeholder, argument in zip(("${key}", "${item}"), sys.argv[1:], strict=False):
        text = text.replace(placeholder, argument)
    return text


def content(path: Path) -> bytes:
    """Give the bytes of a file or of all files of a folder."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return b"".join(file.read_bytes() for file in files if file.is_file())


def value(params: dict[str, Any], key: str) -> Any:
    """Look a dotted key up."""
    group, _, leaf = key.partition(".")
    return params[group][leaf] if leaf else params[group]


def main() -> None:
    """Write the stage's outs."""
    stages = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]
    stage = stages[NAME].get("do", stages[NAME])
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    digest = hashlib.sha256()
    for dependency in stage["deps"]:
        digest.update(content(Path(fill(dependency))))
    for key in stage["params"]:
        digest.update(repr(value(params, key)).encode())
    for output in stage["outs"] + [
        path for kind in ("metrics", "plots") for out in stage.get(kind, []) for path in out
    ]:
        path = Path(fill(output))
        if not path.suffix:
            path /= "content"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{{"digest": {int(digest.hexdigest()[:8], 16)}}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
