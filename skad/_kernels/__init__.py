"""Numba kernels: functions on arrays, without classes and without validation."""
