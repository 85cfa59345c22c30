"""
==========================
What sees which payment?
==========================

The score of :class:`~skad.GANVAE` is a sum of four terms. Each of them, drawn over a
plane of payments, shows what it takes for strange.
"""

# %%
# Payments
# --------
#
# Small customers pay small amounts for a few things, large customers large amounts for
# many. Some payments are wrong.

import numpy as np

rng = np.random.default_rng(0)
size = rng.choice([1.0, 3.0], p=[0.6, 0.4], size=800)
things = size * 4 + rng.normal(size=800)
amount = size * 20 + 2.5 * things + 4 * rng.normal(size=800)
normal = np.column_stack([things, amount])
wrong = {"far too much": (4, 130), "many for little": (12, 45), "in between": (8, 62)}
X = np.vstack([normal, list(wrong.values())])

# %%
# The detector
# ------------

from skad import GANVAE

detector = GANVAE(random_state=0).fit(X)
print(f"threshold {detector.offset_:.2f}")
for name, score in zip(wrong, detector.score_samples(X[-3:]), strict=True):
    print(f"{name:16s} score {score:.2f}")

# %%
# The picture
# -----------
#
# Dark is strange; inside the red line a term is as usual as for 95 % of the payments.
#
# - *reconstruction* follows the two clouds, and the bridge between them is strange;
# - *kl* grows beyond the clouds at either end: what lies between them has ordinary
#   latent variables, and so has the payment of far too much;
# - *discriminator* is usual in bands that pass through the clouds, and go on to where
#   there is nothing: by itself it would let the payment of far too much through;
# - *features*, the distance from the payment that the autoencoder expected, sees what
#   the reconstruction sees, with edges of its own.
#
# In the sum, what one term overlooks another one finds.

import matplotlib.pyplot as plt

across, up = np.meshgrid(np.linspace(-2, 20, 80), np.linspace(0, 150, 80))
plane = detector.score_terms(np.column_stack([across.ravel(), up.ravel()]))
usual = detector.score_terms(X)
fig, axes = plt.subplots(2, 2, figsize=(8, 6.4), sharex=True, sharey=True)
for ax, (name, term) in zip(axes.flat, plane.items(), strict=True):
    limit = np.quantile(usual[name], 0.95)
    shade = np.clip(term, 0, 4 * limit).reshape(across.shape)
    ax.contourf(across, up, shade, levels=20, cmap="Blues")
    ax.contour(across, up, term.reshape(across.shape), [limit], colors="tab:red")
    ax.plot(*normal.T, ".", color="0.3", markersize=2, alpha=0.4)
    for label, place in wrong.items():
        ax.plot(*place, "o", color="tab:orange", markeredgecolor="white")
        box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1}
        offset = {"xytext": (7, 5), "textcoords": "offset points"}
        ax.annotate(label, place, **offset, size=8, bbox=box)
    ax.set_title(name)
fig.supxlabel("number of things")
fig.supylabel("amount")
fig.tight_layout()
plt.show()
