"""Person crops by identity, drawn as collages: a dataset for the identity head."""
