"""Person search: mAP and CMC."""
