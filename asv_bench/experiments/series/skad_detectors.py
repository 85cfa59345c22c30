"""The detectors of skad, and what each of their parts is worth."""

SKAD = {}
