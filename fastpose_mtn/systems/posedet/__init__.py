"""PoseDet (Tian et al., arXiv 2107.10466): boxes, joints and identities of everybody in one stage."""
