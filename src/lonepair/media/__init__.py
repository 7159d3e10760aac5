"""Everything that is read or written: images, clips, folders of frames, sound, and contact sheets."""
