"""One folder a paper: network, losses, estimator, configuration; by ``MODEL.META_ARCHITECTURE``."""
