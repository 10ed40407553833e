"""Random changes to labelled images."""
