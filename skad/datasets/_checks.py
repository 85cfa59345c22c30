"""Checks of parameters that several generators of data have."""


def check_range(value, name, most):
    """Check that a parameter is a pair of positive numbers in order."""
    try:
        low, high = value
        valid = 0 < low <= high <= most
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ValueError(
            f"{name} is {value!r}; expected two numbers, the first greater than 0 and "
            f"not above the second, the second at most {most}."
        )
