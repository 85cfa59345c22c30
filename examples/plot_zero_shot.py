"""
======================
Defects found by words
======================

:class:`~skad.GenCLIP` compares images with texts about good and damaged things. It
learns such texts on some kinds of surfaces, and is asked about one that it never saw.
"""

# %%
# A net of images and words
# -------------------------
#
# A CLIP that was trained on photographs of everything would have to be downloaded. A
# small one is trained here, on drawings of metal, cloth, tiles and granite with
# captions such as "a photo of a damaged cloth". Small images and few epochs keep this
# example short.

from skad.datasets import make_captioned_surfaces
from skad.vision import train_clip

surfaces = {"size": 32, "defect_size": (0.4, 0.5), "defect_contrast": (0.5, 0.8)}
images, captions = make_captioned_surfaces(800, n_classes=4, random_state=0, **surfaces)
clip = train_clip(
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
print(*captions[:3], sep="\n")

# %%
# Texts by hand, and learned ones
# -------------------------------
#
# Images of the same four kinds, with and without defects. Without labels, texts are
# those that somebody wrote. With labels and masks, they are learned.

from skad import GenCLIP
from skad.datasets import make_surfaces

X, y, masks, _ = make_surfaces(120, 60, n_classes=4, random_state=1, **surfaces)
written = GenCLIP(clip).fit(X)
learned = GenCLIP(clip, max_epochs=8, batch_size=16, lr=0.003, random_state=0)
learned.fit(X, y, masks=masks)

# %%
# A kind never seen
# -----------------
#
# Wood was neither among the images of the CLIP, nor among those of the detectors.
# Scores rank images, maps rank pixels.

from skad.metrics import pixel_roc_auc_score, roc_auc_score

X, y, masks, kinds = make_surfaces(200, 200, n_classes=5, random_state=2, **surfaces)
wood = kinds == 4
X, y, masks = X[wood], y[wood], masks[wood]
for name, detector in {"by hand": written, "learned": learned}.items():
    images = roc_auc_score(y, detector.score_samples(X))
    pixels = pixel_roc_auc_score(masks, detector.anomaly_map(X))
    print(f"Texts {name}: AUROC of images {images:.2f}, of pixels {pixels:.2f}")

# %%
# Where the defects are
# ---------------------
#
# Nine defects by their scores, from the lowest, which are found, to the highest, which
# are missed; then a surface without a defect. The colour is how likely a place is
# damaged, the line the true outline.

import matplotlib.pyplot as plt
import numpy as np

from skad.inspection import AnomalyMapDisplay

order = np.argsort(learned.score_samples(X))
defects, normal = order[y[order] == -1], order[y[order] == 1]
chosen = [*defects[np.linspace(0, len(defects) - 1, 9).astype(int)], normal[30]]
maps = learned.anomaly_map(X[chosen])
AnomalyMapDisplay.from_maps(X[chosen], maps, masks=masks[chosen])
plt.show()
