"""Batches: several trainings in one call (`many`), and tables of pairs that are trained and translated (`runner`)."""
