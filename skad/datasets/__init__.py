"""Data with known anomalies: shipped, read from a folder, or generated."""

from skad.datasets._captioned_surfaces import make_captioned_surfaces
from skad.datasets._frames import load_frames
from skad.datasets._moving_digits import make_moving_digits
from skad.datasets._network_events import inject_network_events
from skad.datasets._npz import list_npz, load_npz
from skad.datasets._one_against_rest import one_against_rest
from skad.datasets._phantom import make_brain_phantom
from skad.datasets._planted import make_planted_anomalies
from skad.datasets._radio import make_radio_network
from skad.datasets._sensors import make_sensor_series
from skad.datasets._shipped import list_datasets, load_dataset
from skad.datasets._surfaces import make_surfaces
from skad.datasets._transactions import make_transactions

__all__ = [
    "inject_network_events",
    "list_datasets",
    "list_npz",
    "load_dataset",
    "load_frames",
    "load_npz",
    "make_brain_phantom",
    "make_captioned_surfaces",
    "make_moving_digits",
    "make_planted_anomalies",
    "make_radio_network",
    "make_sensor_series",
    "make_surfaces",
    "make_transactions",
    "one_against_rest",
]
