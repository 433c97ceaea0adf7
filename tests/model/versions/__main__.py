"""Write models of this version: the pipeline trains a network of one block on drawn faces (minutes).

Run it once for each release, and never change the files of an earlier one: they show whether its models can still be
opened.
"""

import json
import shutil
import tempfile
from importlib import metadata
from pathlib import Path

from facegender.serving.classifier import load_classifier
from tests.functional.project import TINY, make_project, run, use_small_backbone
from tests.model.versions import MODELS, VERSIONS, probe_images

CHANGES = TINY | {
    "augment.mode": "fresh",
    "augment.copies": 0,
    "backbone.weights": "random",
    "backbone.trainable_from": "image",
}


def main() -> None:
    """Write the models, their description, and what they predict."""
    target = VERSIONS / metadata.version("facegender")
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder, "project"), CHANGES)
        use_small_backbone(project)
        run(project, "dvc", "repro", "evaluate")
        for name in (*MODELS, "gender.json"):
            shutil.copyfile(project / "models" / name, target / name)
    model = load_classifier(target / "gender.onnx")
    probabilities = model.predict(probe_images(model.height, model.width))
    expected = {"probabilities": [round(value, 6) for value in probabilities.tolist()], "threshold": model.threshold}
    (target / "expected.json").write_text(json.dumps(expected) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
