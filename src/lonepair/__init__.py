"""lonepair."""
