"""Reads data sets: every kind offers the same ``Dataset`` protocol, records with ids, inputs, labels and geometry."""

from seewhy.data.batching import load_batches
from seewhy.data.cluttered_digits import ClutteredDigits
from seewhy.data.cmr_acdc import CmrAcdc
from seewhy.data.custom import CustomDataset
from seewhy.data.image_folder import ImageFolder
from seewhy.data.manifest import Manifest
from seewhy.data.records import Batch, Dataset, Record, RecordRef
from seewhy.pixels import Normalisation

__all__ = [
    "Batch",
    "ClutteredDigits",
    "CmrAcdc",
    "CustomDataset",
    "Dataset",
    "ImageFolder",
    "Manifest",
    "Normalisation",
    "Record",
    "RecordRef",
    "load_batches",
]
