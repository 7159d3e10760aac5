"""Reading and writing: images, clips, folders of frames, sound and contact sheets."""
