"""A CLIP that stands in for a pretrained one in a quick comparison."""

from functools import cache


@cache
def small_clip():
    """Train a small CLIP on captioned surfaces, once in a process."""
    from skad.datasets import make_captioned_surfaces
    from skad.vision import train_clip

    images, captions = make_captioned_surfaces(
        800,
        n_classes=4,
        size=32,
        defect_size=(0.4, 0.5),
        defect_contrast=(0.5, 0.8),
        random_state=0,
    )
    return train_clip(
        images,
        captions,
        image_size=32,
        patch_size=4,
        width=48,
        text_width=32,
        n_layers=3,
        max_epochs=10,
        batch_size=32,
        lr=0.002,
        random_state=0,
    )
