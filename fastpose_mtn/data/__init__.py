"""Datasets: reading, writing, drawing and checking labelled images, and the loader that trains on them."""
