"""Stage pretrained: InceptionV3 with the weights chosen by backbone.weights, in a file that DVC versions."""

from facegender.errors import one_line_errors
from facegender.network.backbone import build_backbone
from facegender.network.model_file import save_model
from facegender.network.weights import pretrained_backbone, random_backbone
from facegender.params import load_params
from facegender.reporting.costs import recorded_cost


@one_line_errors()
@recorded_cost
def main() -> None:
    """Write models/backbone.keras."""
    group = load_params().backbone
    if group.weights == "random":
        pretrained = random_backbone()
    else:
        pretrained = pretrained_backbone(group.weights_file if group.weights == "file" else group.weights)
    backbone = build_backbone()
    backbone.set_weights(pretrained.get_weights())
    save_model(backbone, "models/backbone.keras", {})
    print(f"pretrained: InceptionV3, backbone.weights {group.weights}")


if __name__ == "__main__":
    main()
