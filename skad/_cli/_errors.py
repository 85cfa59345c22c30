"""Errors that are the caller's, one line each; and how a message counts."""

from importlib.util import find_spec


class CommandError(Exception):
    """Wrong arguments or input; the message says what and where."""


def require(packages, extra):
    """Refuse to start without an optional dependency."""
    for package in packages:
        if find_spec(package) is None:
            raise CommandError(
                f'{package} is not installed; run: pip install "skad[{extra}]"'
            )


def plural(count, noun):
    """A count with its noun, as a message says it."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
