"""Drawing: overlays, labels, contact sheets."""
