"""A stage that takes no time: it writes outs that depend on all that dvc.yaml says the stage depends on.

Copied over the scripts of stages that need TensorFlow, it leaves DVC's decisions as they are.
"""

import hashlib
import re
import sys
from pathlib import Path
from typing import Any

import yaml

NAME = Path(__file__).stem


def fill(text: str, params: dict[str, Any], foreach: Any) -> str:
    """Put in what DVC puts in: the command's arguments, and what params.yaml has."""
    if sys.argv[1:]:
        text = text.replace("${key}", sys.argv[1]).replace("${item}", sys.argv[-1])
    for key in re.findall(r"\$\{item\.(\w+)\}", text):
        text = text.replace(f"${{item.{key}}}", value(params, foreach[2:-1])[sys.argv[1]][key])
    for key in re.findall(r"\$\{(\w+\.\w+)\}", text):
        text = text.replace(f"${{{key}}}", value(params, key))
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
    stage, foreach = stages[NAME].get("do", stages[NAME]), stages[NAME].get("foreach")
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    digest = hashlib.sha256()
    for dependency in stage["deps"]:
        digest.update(content(Path(fill(dependency, params, foreach))))
    for key in stage.get("params", []):
        digest.update(repr(value(params, key)).encode())
    outputs = [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    # An out is a path, or a path with its settings.
    for output in [out if isinstance(out, str) else next(iter(out)) for out in outputs]:
        path = Path(fill(output, params, foreach))
        if not path.suffix:
            path /= "content"
        path.parent.mkdir(parents=True, exist_ok=True)
        own = digest.copy()
        own.update(str(path).encode())
        path.write_text(f'{{"digest": {int(own.hexdigest()[:8], 16)}}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
