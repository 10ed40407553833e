"""Makes a network fast on a device: precision, fused layers, streams, CUDA graphs, memory."""
