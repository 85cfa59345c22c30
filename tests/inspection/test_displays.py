"""What holds for every display."""

import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from skad import UnsupervisedRandomForest
from skad.inspection import (
    AttributionDisplay,
    EmbeddingDisplay,
    ScoreDistributionDisplay,
)

X = np.random.default_rng(0).normal(size=(60, 3))
FOREST = UnsupervisedRandomForest(20, random_state=0).fit(X)
DISPLAYS = [AttributionDisplay, EmbeddingDisplay, ScoreDistributionDisplay]


@pytest.mark.parametrize("display", DISPLAYS)
def test_display_draws_on_the_given_axes(display):
    figure, axes = plt.subplots(1, 2)
    drawn = display.from_estimator(FOREST, X, ax=axes[1])
    assert isinstance(drawn, display)
    assert drawn.ax_ is axes[1]
    assert drawn.figure_ is figure
    assert not axes[0].has_data() and axes[1].has_data()
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize("display", DISPLAYS)
def test_display_opens_a_figure_of_its_own(display):
    first, second = (display.from_estimator(FOREST, X) for _ in range(2))
    assert first.figure_ is not second.figure_
    assert len(plt.get_fignums()) == 2


@pytest.mark.parametrize("display", DISPLAYS)
def test_display_is_drawn_again_on_other_axes(display):
    drawn = display.from_estimator(FOREST, X)
    before = drawn.ax_
    assert drawn.plot() is drawn
    assert drawn.ax_ is not before
    assert drawn.ax_.get_xlabel() == before.get_xlabel() != ""


@pytest.mark.parametrize("display", DISPLAYS)
def test_style_of_other_figures_stays_as_it_is(display):
    style = mpl.rcParams.copy()
    display.from_estimator(FOREST, X).figure_.draw_without_rendering()
    assert mpl.rcParams == style


@pytest.mark.parametrize("display", DISPLAYS)
def test_style_can_be_changed(display):
    drawn = display.from_estimator(FOREST, X, alpha=0.25)
    artist = {
        AttributionDisplay: lambda: drawn.bars_.patches[0],
        EmbeddingDisplay: lambda: drawn.points_[0],
        ScoreDistributionDisplay: lambda: drawn.bars_[0],
    }[display]()
    assert artist.get_alpha() == 0.25


@pytest.mark.parametrize("display", DISPLAYS)
def test_without_matplotlib_it_is_asked_for_before_anything_else(display, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = rf"{display.__name__}\.from_estimator requires matplotlib"
    with pytest.raises(ImportError, match=message):
        display.from_estimator(None, None)
