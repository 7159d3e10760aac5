"""Clips: decoding and encoding (`frames`), and what moves between two frames."""
