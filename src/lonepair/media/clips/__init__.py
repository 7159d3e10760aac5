"""Clips: videos, animated images and folders of frames, read and written."""
