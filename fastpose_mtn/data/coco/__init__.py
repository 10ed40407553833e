"""COCO-style JSON: reading and writing."""
