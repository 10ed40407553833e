"""Training and evaluation under Lightning, and what Detectron2's training shares with it."""
