"""Sizes, architecture and lengths of the demo training: every number that shapes the models."""

from export.classifier_model import Architecture
from ropewatch.settings import ExpansionSettings

DETECTOR_WH_PX = (320, 192)
"""Input of the person detector."""
CROP_WH_PX = (96, 192)
"""Input of the rope classifier."""
TOKEN_PX = 12
"""Side of the classifier's patches."""
EXPANSION = ExpansionSettings()
"""The product's own geometry."""
ARCHITECTURE = Architecture(
    labels=("roped", "unroped"),
    crop_wh=CROP_WH_PX,
    backbone="vit_small_patch16_dinov3",
    backbone_kwargs={
        "img_size": (CROP_WH_PX[1], CROP_WH_PX[0]),
        "patch_size": TOKEN_PX,
        "embed_dim": 96,
        "depth": 5,
        "num_heads": 4,
        "num_reg_tokens": 2,
        "init_values": 0.3,
    },
    roi_out=(6, 3),
    sampling_ratio=0,
    reduce="flatten",
    hidden=(128,),
    dropout=0.1,
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
)
SCENES = 1200
"""Training scenes."""
FRAMES_PER_SCENE = 4
DETECTOR_EPOCHS = 4
CLASSIFIER_EPOCHS = 8
