"""Patch search, distances between patch distributions, and patch synthesis; `config` needs no torch."""
