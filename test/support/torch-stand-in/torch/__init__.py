"""Stands in for PyTorch on a machine without GPUs: what slurm/preflight.py and a training script of the tests use.

Ranks meet by files in the folder STAND_IN. A rank named by STAND_IN_ABSENT never comes.
"""

from . import cuda, distributed  # noqa: F401


class Numbers:
    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return self if self.value == other else None

    def all(self):
        return True


def full(_shape, value, device):
    assert device == "cuda"
    return Numbers(value)
