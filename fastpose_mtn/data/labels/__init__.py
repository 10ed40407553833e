"""COCO-style label files, made right in one place: what is repaired, left out and refused, see ``datasets/README.md``."""
