"""What is fixed about CelebA: its attributes, its partitions and the size of its aligned images."""

IMAGE_ID = "image_id"
"""The first column of the lists: an image's file name."""

ATTRIBUTES = (
    "5_o_Clock_Shadow",
    "Arched_Eyebrows",
    "Attractive",
    "Bags_Under_Eyes",
    "Bald",
    "Bangs",
    "Big_Lips",
    "Big_Nose",
    "Black_Hair",
    "Blond_Hair",
    "Blurry",
    "Brown_Hair",
    "Bushy_Eyebrows",
    "Chubby",
    "Double_Chin",
    "Eyeglasses",
    "Goatee",
    "Gray_Hair",
    "Heavy_Makeup",
    "High_Cheekbones",
    "Male",
    "Mouth_Slightly_Open",
    "Mustache",
    "Narrow_Eyes",
    "No_Beard",
    "Oval_Face",
    "Pale_Skin",
    "Pointy_Nose",
    "Receding_Hairline",
    "Rosy_Cheeks",
    "Sideburns",
    "Smiling",
    "Straight_Hair",
    "Wavy_Hair",
    "Wearing_Earrings",
    "Wearing_Hat",
    "Wearing_Lipstick",
    "Wearing_Necklace",
    "Wearing_Necktie",
    "Young",
)
LABEL = "Male"
CLASSES = ("No male", "Male")
"""The names that people see for label 0 and label 1."""

PARTITIONS = {"train": 0, "val": 1, "test": 2}
"""Each split's number in list_eval_partition."""

HEIGHT, WIDTH = 218, 178
"""Pixels of an aligned CelebA image."""
