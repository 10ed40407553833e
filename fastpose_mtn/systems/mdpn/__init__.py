"""MDPN (Guo et al., *Multi-Domain Pose Network*, 2018), a network of the top-down system: one head a way of labelling."""
