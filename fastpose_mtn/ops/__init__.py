"""Mathematics as pure functions of tensors and arrays: boxes, RoIAlign, heatmaps, matching, similarity of poses."""
