"""Stage eda: explore the training rows, in numbers and pictures."""

from pathlib import Path

from facegender.cache import alone
from facegender.data.image_sources import open_images
from facegender.data.images import decode_verified
from facegender.data.lists import read_annotations
from facegender.data.tables import write_csv
from facegender.errors import one_line_errors
from facegender.files import whole_folder, write_json
from facegender.params import load_params
from facegender.preparation import eda
from facegender.reporting import pictures
from facegender.reporting.costs import recorded_cost
from facegender.reporting.gallery import exhibit, write_gallery


@one_line_errors()
@recorded_cost
@alone
def main() -> None:
    """Write data/eda/, metrics/eda.json and metrics/plots/eda/."""
    params = load_params()
    dataset, plots = params.dataset, Path("metrics/plots/eda")
    training = eda.training_rows(read_annotations(dataset.attributes, dataset.partitions))
    with open_images(dataset.images) as images:
        sizes = eda.image_sizes(list(training.index), images.read)
        faces, captions = eda.examples(
            training, lambda name: decode_verified(images.read(name), name), params.eda.examples
        )
    balance, rates, correlation = eda.balance(training), eda.rates(training), eda.correlation(training)
    pairs = eda.ranked_pairs(correlation)

    of_training = f"of {len(training):,} training images"
    tables = {"describe": eda.describe(training), "correlation": eda.long_form(correlation), "pairs": pairs}
    with whole_folder("data/eda") as folder:
        for name, table in (tables | {"balance": balance, "rates": rates}).items():
            write_csv(folder / f"{name}.csv", table)
        write_gallery(folder / "examples", map(exhibit, captions, faces))
    pictures.bar_chart(plots / "balance.png", balance["class"], balance["images"], f"Classes {of_training}", "images")
    pictures.bar_chart(plots / "rates.png", rates["attribute"], rates["rate"], f"Attributes {of_training}", "share")
    pictures.heat_map(plots / "correlation.png", correlation.columns, correlation, f"Correlation {of_training}")
    pictures.image_grid(plots / "examples.png", faces, captions, f"Examples {of_training}")
    summary = eda.summary(training)
    write_json("metrics/eda.json", {"training": summary, "images": sizes})
    print(f"eda: {of_training.removeprefix('of ')}, {summary['male']:,} Male and {summary['no_male']:,} No male")


if __name__ == "__main__":
    main()
