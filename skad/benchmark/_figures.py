"""What the report's figures share: style, marks, and SVG in the page's own colours."""

import io
import re
from html import escape

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg

# Colours that nothing else uses, replaced by the style sheet's variables: the
# figures then follow the page into its dark mode.
_VARIABLES = {
    "#010101": "var(--ink)",
    "#020202": "var(--muted)",
    "#030303": "var(--rule)",
    "#040404": "var(--first)",
    "#050505": "var(--second)",
    "#060606": "var(--third)",
    "#070707": "var(--rest)",
    "#080808": "var(--bad)",
    "#090909": "var(--event)",
}
INK, MUTED, RULE, *PODIUM, REST, BAD, EVENT = _VARIABLES
_MARKERS = ("o", "D", "s")

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "skad",
    # The page brings its own, of about this width.
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
}


def style(font_size=10):
    """The figures' style, as a context: the global one of matplotlib stays."""
    return matplotlib.rc_context({**_STYLE, "font.size": font_size})


def colour(rank):
    """The colour of a detector by its place in the summary."""
    return PODIUM[rank] if rank < len(PODIUM) else REST


def ink(rank):
    """The colour of a detector's name."""
    return INK if rank < len(PODIUM) else MUTED


def dot(rank):
    """How a detector is drawn in a scatter plot."""
    if rank < len(PODIUM):
        return {"color": PODIUM[rank], "marker": _MARKERS[rank], "s": 44, "zorder": 4}
    return {"color": REST, "s": 26, "linewidths": 0, "zorder": 3}


def svg(figure, prefix, title):
    """The figure as an element for a page: no size, no clashing ids."""
    FigureCanvasAgg(figure)
    figure.patch.set_alpha(0)
    for axes in figure.axes:
        axes.patch.set_alpha(0)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = _without_ballast(text)
    for placeholder, variable in _VARIABLES.items():
        text = text.replace(placeholder, variable)
    for mark in ('id="', '"#', "url(#"):
        text = text.replace(mark, f"{mark}{prefix}-")
    width, height = figure.get_size_inches() * 72
    start = f'<svg role="img" aria-label="{escape(title)}"'
    size = f'viewBox="0 0 {width:g} {height:g}"'
    rest = text[text.index(">") :]
    return f'{start} {size} xmlns:xlink="http://www.w3.org/1999/xlink"{rest}'


def _without_ballast(text):
    """Half of what matplotlib writes is of no use on a page."""
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda id_: id_[0] if id_[1] in used else "", text)
    text = re.sub(r'(?<= d=")[^"]+', _compact, text)
    return re.sub(r">\s+<", "><", text)


def _compact(path):
    """A path without line breaks, and to a tenth of a point."""
    short = re.sub(r"(\.\d)\d+", r"\1", path[0])
    return re.sub(r"\s+", " ", short).strip()
