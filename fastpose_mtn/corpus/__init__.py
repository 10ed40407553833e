"""A corpus of videos, tracked by a network on each of a Ray cluster's machines."""
