"""What the displays share: where they draw, and in which colours."""

from sklearn.utils._optional_dependencies import check_matplotlib_support

# Apart for every kind of colour vision, and in print.
NORMAL, ANOMALY, NEUTRAL, INK = "#56a0d3", "#d55e00", "0.6", "0.15"


def start(display, ax):
    """Return the axes to draw on, noted in the display; new ones if `ax` is None."""
    check_matplotlib_support(f"{type(display).__name__}.plot")
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    display.ax_, display.figure_ = ax, ax.figure
    return ax
