"""AlphaPose's pose network (Fang et al., PAMI 2022), a network of the top-down system."""
