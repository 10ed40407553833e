"""MSPN, the multi-stage pose network (Li et al., *Rethinking on Multi-Stage Networks*, 2019), of the top-down system."""
