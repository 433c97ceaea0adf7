"""Stage pretrained: InceptionV3's weights, as chosen by backbone.weights, in a file that DVC versions."""

from facegender.errors import one_line_errors
from facegender.files import whole_file
from facegender.network.weights import pretrained_backbone, random_backbone
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost


@one_line_errors()
@recorded_cost
def main() -> None:
    """Write models/backbone.weights.h5."""
    group = load_params().backbone
    if group.weights == "random":
        backbone = random_backbone()
    else:
        backbone = pretrained_backbone(group.weights_file if group.weights == "file" else group.weights)
    with whole_file("models/backbone.weights.h5") as partial:
        backbone.save_weights(partial)


if __name__ == "__main__":
    main()
