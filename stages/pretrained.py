"""Stage pretrained: InceptionV3's weights, from wherever backbone.weights says, as a file that DVC versions."""

from facegender.errors import one_line_errors
from facegender.files import whole_file
from facegender.network.backbone import pretrained_body, random_body
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost
from facegender.synthetic.dataset import draw_faces

CALIBRATION = {"images": 64, "seed": 0}


@one_line_errors()
@recorded_cost
def main() -> None:
    """Write models/backbone.weights.h5."""
    weights = load_params().backbone.weights
    body = random_body(draw_faces(**CALIBRATION)) if weights == "random" else pretrained_body(weights)
    with whole_file("models/backbone.weights.h5") as partial:
        body.save_weights(partial)


if __name__ == "__main__":
    main()
